"""The one base of all errors that a user can mend: the command line shows them as one line, all others in full."""


class AudexError(ValueError):
    """What was given cannot be used; the message says what it is, what is accepted and what to do."""
