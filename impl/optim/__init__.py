"""Optimizers that more than one system is trained with. It must never know a system."""
