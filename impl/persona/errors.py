"""The one exception of this package: a mistake of the caller or of the data, told in one line."""


class PersonaError(ValueError):
    """The message says what is wrong, where, and what to do about it."""
