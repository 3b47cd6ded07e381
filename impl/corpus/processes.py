"""Processes that share work: spawned, with a collector that seldom looks, and gone when their parent is.

Whoever asks for them needs the usual `if __name__ == "__main__":` guard in its script.
"""

import gc
import multiprocessing
import os
import threading
from concurrent.futures import ProcessPoolExecutor
from typing import Final

_RARELY: Final = 1_000_000  # objects: syntax trees have no cycles, and looking for some takes a sixth of the time


def pool(processes: int) -> ProcessPoolExecutor:
    """So many processes, started when there is work for them."""
    return ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _begin)


def _begin() -> None:
    gc.set_threshold(_RARELY)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that was killed tells nobody, and its processes would wait for work for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
