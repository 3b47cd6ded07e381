"""Tests and CI that cannot turn red: AS4xx."""
