"""A conversation with a trained chain, line by line, for a person.

The persona is the one that the person gives; the model answers as the last stage that taught it to (see
`policy.Folder`). `/persona` shows it, `/again` forgets what was said, `/quit` or an empty end of input leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

LONGEST = 8  # turns that are kept


def chat(
    bridge: Any, persona: Sequence[str], lines: Iterable[str], say: Callable[[str], None], stage: str | None = None
) -> int:
    """Answer every line; the number of answers. `bridge` is a `persona.bridge.Bridge`, `stage` its best by default."""
    dialogue: list[str] = []
    answers = 0
    for line in lines:
        text = line.strip()
        if text == "/quit":
            break
        if text == "/again":
            dialogue = []
        elif text == "/persona":
            say("\n".join(persona) or "(no persona)")
        elif text:
            dialogue = [*dialogue, text][-LONGEST + 1 :]
            (answer,) = bridge.reply([{"persona": list(persona), "dialogue": dialogue}], stage=stage)
            say(answer["text"])
            dialogue.append(answer["text"])
            answers += 1
    return answers
