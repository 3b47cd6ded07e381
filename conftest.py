"""Only what the whole checkout shares; each suite has its own conftest.py."""

import os

from assay.nursery import WAITING

pytest_plugins = ["pytester"]

os.environ.setdefault(*WAITING)  # before anything imports torch: two suites at a time share the cores
