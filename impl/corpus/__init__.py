"""Source code as data: which files, which functions, which splits, which injected defects.

Almost everything here is a pure function of file bytes and of names given in a specification. Two parts alone execute
what they read, in limited processes of their own: `tracing` the tests of pinned distributions, `execution` programs
that nobody vouches for. It must never import the harness or a system, and never import a tensor library.
"""
