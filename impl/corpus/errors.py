"""The one exception of this package: a mistake of the caller or of the data, told in one line.

It names the thing, the place and the way out; it is never raised for a file that merely cannot be parsed.
"""


class CorpusError(ValueError):
    """A wrong name, a missing distribution, a broken record: the message says what, where and what to do."""
