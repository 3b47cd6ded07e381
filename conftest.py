"""Only what the whole checkout shares; each suite has its own conftest.py."""

import os

from assay.nursery import wait_briefly

pytest_plugins = ["pytester"]

wait_briefly(os.environ)  # before anything imports torch: two suites at a time share the cores
