"""A neurosymbolic encoder: chains of code tokens that carry the facts of a knowledge graph as leaves.

Must never import the harness that judges it.
"""
