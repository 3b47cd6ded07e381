r"""The prompt as text, and back: `[PERSONA] sentences [DIALOGUE] turns [RESPONSE] reply`.

    [PERSONA] i am a baker.
    i have a dog.
    [DIALOGUE] hello!
    hi there!
    what is your job?
    [RESPONSE] i am a baker.

Sentences and turns are separated by line ends; the last turn is the partner's. No bracket of a text stands in the
prompt as such, so that nothing that anybody says can open a section or forge a special token: parse(render(x)) == x
for every text. It must never drop or repair a character.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from persona.errors import PersonaError

PERSONA: Final = "[PERSONA]"
DIALOGUE: Final = "[DIALOGUE]"
RESPONSE: Final = "[RESPONSE]"

_ESCAPES: Final = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "[": "\\(", "<": "\\{"}
_PLAIN: Final = {escape: text for text, escape in _ESCAPES.items()}
_SPECIAL: Final = re.compile(r"[\\\n\r\[<]")
_ESCAPED: Final = re.compile(r"\\(?:.|\Z)", re.DOTALL)
_SECTION: Final = r"(?: (?P<{name}>.*?))?"
_PROMPT: Final = re.compile(
    re.escape(PERSONA) + _SECTION.format(name="persona") + r"[\n ]"
    + re.escape(DIALOGUE) + _SECTION.format(name="dialogue") + r"[\n ]"
    + re.escape(RESPONSE) + r"(?: (?P<response>.*))?",
    re.DOTALL,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a reply is given for; `response` is None where it is still to be written."""

    persona: tuple[str, ...]
    dialogue: tuple[str, ...]
    response: str | None = None


def render(persona: Sequence[str], dialogue: Sequence[str], response: str | None = None) -> str:
    """The prompt; with a response, the same text and the response after it. PersonaError for what is no text."""
    prompt = f"{_section(PERSONA, persona)}\n{_section(DIALOGUE, dialogue)}\n{RESPONSE}"
    return prompt if response is None else f"{prompt} {escape(response)}"


def parse_prompt(text: str) -> Prompt:
    """What was rendered. One space may stand for the line end before a section, as when typed on one line.

    PersonaError where a section is missing, repeated or out of order, and for an escape that `escape` does not write.
    """
    found = _PROMPT.fullmatch(text)
    markers = [text.count(marker) for marker in (PERSONA, DIALOGUE, RESPONSE)]
    if found is None or markers != [1, 1, 1]:
        raise PersonaError(
            f"not a prompt: {PERSONA} sentences {DIALOGUE} turns {RESPONSE} is needed, each section once and in this "
            f"order, got {text[:60]!r}"
        )
    persona, dialogue, response = found["persona"], found["dialogue"], found["response"]
    return Prompt(_items(persona), _items(dialogue), None if response is None else unescape(response))


def escape(text: str) -> str:
    """The text on one line, without a bracket that could open a control token. PersonaError for what is no text."""
    if not isinstance(text, str):
        raise PersonaError(f"a text is needed, got {text!r:.60}")
    return _SPECIAL.sub(lambda found: _ESCAPES[found[0]], text)


def unescape(text: str) -> str:
    """What `escape` was given. PersonaError for a backslash that it did not write."""

    def plain(found: re.Match[str]) -> str:
        if found[0] not in _PLAIN:
            raise PersonaError(f'"{found[0]}" at {found.start()} is no escape; write a backslash as "\\\\"')
        return _PLAIN[found[0]]

    return _ESCAPED.sub(plain, text)


def _section(marker: str, items: Sequence[str]) -> str:
    if not isinstance(items, Sequence) or isinstance(items, str):  # of which each letter would be a sentence
        raise PersonaError(f"{marker}: a list of texts is needed, got {items!r:.60}")
    return f"{marker} " + "\n".join(map(escape, items)) if items else marker


def _items(section: str | None) -> tuple[str, ...]:
    return () if section is None else tuple(map(unescape, section.split("\n")))
