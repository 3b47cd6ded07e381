"""Laws are checked by counting examples, not by the clock: a busy machine must not turn a true law red.

On CI the examples are the same in every run, so that a red build is the change's own doing; elsewhere they vary.
"""

import os

from hypothesis import settings

settings.register_profile("laws", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("laws")
