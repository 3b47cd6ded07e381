"""Prompts: parse and render are inverse for every text, and no text can open a section or forge a token."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from persona.errors import PersonaError
from persona.format import DIALOGUE, PERSONA, RESPONSE, Prompt, escape, parse_prompt, render, unescape

# Plain text seldom meets the syntax: pieces of it are mixed in.
PIECES = st.sampled_from(
    [
        PERSONA,
        DIALOGUE,
        RESPONSE,
        "[",
        "]",
        "\\",
        "\\n",
        "\\(",
        "\n",
        "\r",
        " ",
        "<",
        "<eos>",
        "</s>",
        "\u2028",
        "\x85",
        "<|endoftext|>",
    ]
)
TEXT = st.one_of(st.text(max_size=12), st.lists(st.one_of(PIECES, st.text(max_size=3)), max_size=6).map("".join))
ITEMS = st.lists(TEXT, max_size=4).map(tuple)


@given(ITEMS, ITEMS, st.none() | TEXT)
@example((), (), None)
@example(("",), ("",), "")
@example(("", ""), (), " ")
@example((PERSONA, f"a\n{DIALOGUE}"), (f"\\{RESPONSE} no",), f"{RESPONSE} x {PERSONA}")
def test_parse_undoes_render(persona, dialogue, response):
    assert parse_prompt(render(persona, dialogue, response)) == Prompt(persona, dialogue, response)


@given(ITEMS, ITEMS, TEXT)
def test_what_is_generated_after_the_prompt_is_the_response(persona, dialogue, response):
    assert render(persona, dialogue, response) == f"{render(persona, dialogue)} {escape(response)}"


@given(ITEMS, ITEMS, TEXT)
def test_no_text_brings_a_token_of_its_own(persona, dialogue, response):
    text = render(persona, dialogue, response)
    assert [text.count(token) for token in (PERSONA, DIALOGUE, RESPONSE)] == [1, 1, 1]
    assert text.count("[") == 3
    assert "<" not in text


@given(TEXT)
def test_escaped_text_is_one_line_and_comes_back(text):
    assert "\n" not in escape(text)
    assert unescape(escape(text)) == text


def test_a_prompt_typed_on_one_line_is_read():
    found = parse_prompt("[PERSONA] i like tea. [DIALOGUE] hi! [RESPONSE] hello!")
    assert found == Prompt(("i like tea.",), ("hi!",), "hello!")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[PERSONA] a",
        "[DIALOGUE] a\n[PERSONA] b\n[RESPONSE]",
        "[PERSONA] a\n[DIALOGUE] b\n[RESPONSE] c [RESPONSE] d",
        "[PERSONA] a\n[PERSONA] b\n[DIALOGUE] c\n[RESPONSE]",
        "x [PERSONA]\n[DIALOGUE]\n[RESPONSE]",
        "[PERSONA]a\n[DIALOGUE]\n[RESPONSE]",
    ],
)
def test_what_is_no_prompt_is_refused(text):
    with pytest.raises(PersonaError, match="not a prompt"):
        parse_prompt(text)


@pytest.mark.parametrize("text", ["c:\\temp", "end\\"])
def test_a_stray_backslash_is_refused(text):
    with pytest.raises(PersonaError, match="is no escape"):
        parse_prompt(f"[PERSONA]\n[DIALOGUE] {text}\n[RESPONSE]")


@pytest.mark.parametrize("wrong", [("a text", ["hi."]), (None, ["hi."]), ([], "hi."), ([3], ["hi."]), ([], [None])])
def test_what_is_no_list_of_texts_is_refused(wrong):
    """Each letter of a text would be a sentence."""
    with pytest.raises(PersonaError, match="is needed, got"):
        render(*wrong)
    with pytest.raises(PersonaError, match="a text is needed, got 5"):
        render([], ["hi."], 5)
