"""Weights, servers and documents: AS5xx."""
