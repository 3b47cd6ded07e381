"""What a user can put right: the message names the thing, the place and the way out."""


class GraphmerError(ValueError):
    """Shown as one line with exit status 2, never as a traceback."""
