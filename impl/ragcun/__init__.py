"""Retrieval with isotropic Gaussian embeddings: training, an index, a hybrid search, their evaluation.

Must never import the harness that judges it.
"""
