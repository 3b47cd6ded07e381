"""Assay: a model is done when its evidence says so, on the hardware it was meant for.

The public face is small on purpose; heavy libraries are imported where they are used, never here.
"""

__version__ = "0.1.0"
