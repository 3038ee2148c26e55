"""The one base of all errors that a user can mend: the command line shows them as one line, all others in full."""

import unicodedata
from collections.abc import Sequence

LONGEST = 2000  # characters of a message: what a file of somebody else's says may be as long as it likes
DIRECTIONS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029"  # that turn or break a line


def shown(text: object, longest: int = LONGEST) -> str:
    r"""A text as one line that is safe to print: control characters are escaped, the middle of a long one is left out.

    >>> shown("yes\x1b[31m\n"), shown("abcdefghij", 7)
    ('yes\\x1b[31m\\n', 'ab...ij')
    """
    line = str(text)
    if len(line) > longest:
        half = (longest - 3) // 2
        line = f"{line[:half]}...{line[-half:]}"
    return escaped(line)


def escaped(text: str, allowed: str = "") -> str:
    """A text with control characters and bytes that are no text, but for those `allowed`, as Python writes them."""
    if text.isprintable():
        return text
    return "".join(
        ascii(c)[1:-1] if c not in allowed and (unicodedata.category(c) in ("Cc", "Cs") or c in DIRECTIONS) else c
        for c in text
    )


def listing(faults: Sequence[object], most: int = 12) -> str:
    """Faults behind one another, the first of many, and how many more there are.

    >>> listing(["a is missing", "b is missing"]), listing("abc", 1)
    ('a is missing; b is missing', 'a; and 2 more')
    """
    parts = [shown(fault, 160) for fault in faults[:most]]
    return "; ".join([*parts, f"and {len(faults) - most} more"] if len(faults) > most else parts)


class AudexError(ValueError):
    """What was given cannot be used; the message, one line, says what it is, what is accepted and what to do."""

    def __init__(self, message: object = ""):
        super().__init__(shown(message))


class AudioError(AudexError):
    """A recording that cannot be used; the message names it, what is wrong and what to do."""


class ModelError(AudexError):
    """What a model makes of a clip says nothing, since it is not finite; the message says what is not."""
