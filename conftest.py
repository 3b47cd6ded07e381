"""Only what the whole checkout shares; each suite has its own conftest.py."""

pytest_plugins = ["pytester"]
