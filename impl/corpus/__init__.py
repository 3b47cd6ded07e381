"""Source code as data: which files, which functions, which splits, which injected defects.

Everything here is a pure function of file bytes and of names given in a specification. It must never execute
the code it reads (`tracing` alone does, in a limited process of its own), never import the harness or a system,
and never import a tensor library.
"""
