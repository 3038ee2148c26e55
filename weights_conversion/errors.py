"""The one error of this package."""

from collections.abc import Sequence

from audex_jax.core.errors import AudexError


class ConversionError(AudexError):
    """A source that cannot be converted; the message lists every fault that was found."""

    @classmethod
    def of(cls, source: str, what: str, faults: Sequence[str]) -> "ConversionError":
        """All faults of one source in one message, one a line."""
        return cls(f"{source}: {what}:\n  " + "\n  ".join(faults))
