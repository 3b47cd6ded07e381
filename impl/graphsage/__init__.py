"""Code understanding on graphs: Python source to graph, GraphSAGE trunk, heads for defects and imports.

Exists to be judged from outside: it never imports the harness and never computes its own verdict.
"""
