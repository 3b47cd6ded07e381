"""Code understanding on graphs: Python source to graph, GraphSAGE trunk, four heads.

Defects with their place, imports, the confidence that a program passes its tests, an embedding of code.

Exists to be judged from outside: it never imports the harness and never computes its own verdict.
"""
