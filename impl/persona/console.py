"""One line of progress on a terminal, and now and then one in a log."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from torch import Tensor


class Console:
    """Shows how far a loop is. The loss is read only when it is shown."""

    def __init__(self, name: str, total: int) -> None:
        self.name, self.total = name, total
        self.started, self.shown = time.monotonic(), 0.0

    def __enter__(self) -> Console:
        return self

    def show(self, done: int, loss: Tensor) -> None:
        """At most once a second on a terminal, every tenth of the way elsewhere."""
        now, terminal = time.monotonic(), sys.stderr.isatty()
        due = now - self.shown > 1 if terminal else done % max(1, self.total // 10) == 0
        if due or done == self.total:
            self.shown = now
            line = f"{self.name} {done}/{self.total}, {now - self.started:.0f} s, loss {loss.item():.3f}"
            print(f"\r\x1b[K{line}" if terminal else line, end="" if terminal else "\n", file=sys.stderr, flush=True)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if sys.stderr.isatty() and self.shown:
            print(file=sys.stderr)
