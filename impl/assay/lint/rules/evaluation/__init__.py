"""Scores that measure nothing: AS1xx."""
