"""The one error of this package."""

from collections.abc import Sequence

from audex_jax.core.errors import AudexError, listing


class ConversionError(AudexError):
    """A source that cannot be converted; the message lists the faults that were found."""

    @classmethod
    def of(cls, source: str, what: str, faults: Sequence[str]) -> "ConversionError":
        """The faults of one source in one message."""
        return cls(f"{source}: {what}: {listing(faults, 40)}")
