"""Laws are checked by counting examples, not by the clock: a busy machine must not turn a true law red.

On CI the examples are the same in every run, so that a red build is the change's own doing; elsewhere they vary.
"""

import os

from hypothesis import settings

os.environ["HF_HUB_OFFLINE"] = "1"  # no test asks the network, and none waits for it

settings.register_profile("laws", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("laws")
