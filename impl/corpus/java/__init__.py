"""Java as triples: the same ontology, record and counting as Python, through tree-sitter.

`declarations` reads what a file declares, `extraction` resolves what its bodies say over all of them. Nothing here
compiles or runs Java.
"""
