"""Who hears what, and in which order: balanced over listeners, drawn from one seed.

First a listener names what is heard in one explanation of each clip, then compares two explanations of each. So nobody
knows a clip from another method, or from the recording, before naming it. Which method is heard follows a Latin square:
the next listener hears the next method of every clip. Pairs, and which of the two comes first, go round likewise.
"""

import dataclasses
import itertools
import math

import numpy as np


@dataclasses.dataclass(frozen=True)
class Sheet:
    """What one listener is asked, in order; clips and methods by their numbers.

    Attributes:
        naming: clip and method of each sound to be named.
        comparing: clip, first and second method of each pair.
    """

    naming: tuple[tuple[int, int], ...]
    comparing: tuple[tuple[int, int, int], ...]


def pairs_of(methods: int) -> list[tuple[int, int]]:
    """All ordered pairs of methods: each pair one way round, then each the other way round."""
    forth = list(itertools.combinations(range(methods), 2))
    return forth + [(second, first) for first, second in forth]


def round_of(methods: int) -> int:
    """Number of listeners after which everything was heard equally often.

    >>> [round_of(methods) for methods in (1, 2, 3, 4)]
    [1, 2, 6, 12]
    """
    return math.lcm(methods, len(pairs_of(methods)) or 1)


def draw_sheets(clips: int, methods: int, listeners: int, seed: int) -> list[Sheet]:
    """One sheet a listener.

    As many listeners in a row as there are methods hear every clip by every method once; as many as there are ordered
    pairs compare each of them on every clip.

    Args:
        clips, methods, listeners: their numbers.
        seed: of all that is random.

    >>> [sheet.naming for sheet in draw_sheets(1, 2, 2, seed=0)]
    [((0, 0),), ((0, 1),)]
    """
    return [draw_sheet(clips, methods, listener, seed) for listener in range(listeners)]


def draw_sheet(clips: int, methods: int, listener: int, seed: int) -> Sheet:
    """The sheet of one listener, counted from 0; see `draw_sheets`."""
    rng, own = np.random.default_rng([seed, 0]), np.random.default_rng([seed, 1 + listener])
    pairs = pairs_of(methods)
    naming_start, comparing_start = rng.permutation(clips), rng.permutation(clips)
    naming = [(int(c), int((naming_start[c] + listener) % methods)) for c in own.permutation(clips)]
    comparing = [
        (int(c), *pairs[(int(comparing_start[c]) + listener) % len(pairs)])
        for c in (own.permutation(clips) if pairs else ())
    ]
    return Sheet(tuple(naming), tuple(comparing))


def names_for(count: int, seed: int) -> list[str]:
    """Names that tell nothing: 8 hexadecimal digits each, all different."""
    rng = np.random.default_rng([seed, 0, 1])
    names: dict[str, None] = {}
    while len(names) < count:
        names[rng.bytes(4).hex()] = None
    return list(names)
