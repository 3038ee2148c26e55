"""The arms of an evaluation: ways of ordering what a clip consists of, to be compared. Names only, no JAX."""

from typing import NamedTuple

from audex_jax.core.errors import AudexError
from audex_jax.core.registry import METHODS, RANKINGS
from audex_jax.core.settings import AMORTISED, ONE_GRADIENT, Settings

OWN_ORDER = "signed"  # the ranking by the attribution itself


class Arm(NamedTuple):
    """One way of ordering elements, the most important first.

    Attributes:
        method: attribution method, of `METHODS`.
        ranking: of `RANKINGS`, what orders the elements by their attributions.
        space: whose elements are ordered: `latent`, or a space of the decoded sound, see `input_space.SPACES`.
    """

    method: str
    ranking: str
    space: str = "latent"

    @property
    def random(self) -> bool:
        """Whether the order is drawn, and is drawn again for each seed of the plan."""
        return self.method == "random"


INPUT_ARMS = {
    "waveform-ig": Arm(Settings.method, "weighted", "waveform"),
    "spectrum-ig": Arm(Settings.method, "weighted", "spectrum"),
    "audio-frames": Arm("occlusion", OWN_ORDER, "frames"),
    "waveform-random": Arm("random", OWN_ORDER, "waveform"),
    "spectrum-random": Arm("random", OWN_ORDER, "spectrum"),
}


def arm_names() -> tuple[str, ...]:
    """All names of one word; `METHOD:RANKING` stands for any other pair."""
    return tuple(dict.fromkeys((*RANKINGS.names(), *METHODS.names(), *INPUT_ARMS)))


def arm_of(name: str) -> Arm:
    """The arm that a name stands for: the first of these that fits.

    - an arm of `INPUT_ARMS`;
    - `METHOD:RANKING`;
    - a ranking: of Integrated Gradients, or of what `amortised` is shown with, as in `explain`;
    - a method: elements are ordered by its attribution as it is, with the sign where it has one.

    Raises:
        AudexError: there is no such ranking or method.

    >>> arm_of("weighted"), arm_of("saliency")
    (Arm(method='integrated-gradients', ranking='weighted', space='latent'), \
Arm(method='saliency', ranking='signed', space='latent'))
    """
    if name in INPUT_ARMS:
        return INPUT_ARMS[name]
    method, colon, ranking = name.partition(":")
    if colon:
        METHODS.check(method)
        RANKINGS.check(ranking)
        return Arm(method, ranking)
    if name == AMORTISED:
        return Arm(ONE_GRADIENT, name)
    if name in RANKINGS.names():
        return Arm(Settings.method, name)
    if name in METHODS.names():
        return Arm(name, OWN_ORDER)
    raise AudexError(f"no method {name!r}; choose from {', '.join(arm_names())}, or give METHOD:RANKING")
