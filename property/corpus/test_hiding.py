"""Law: what is hidden cannot be read, and everything else stays where it was."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.hiding import code_alone, without_imports

names = st.sampled_from(["alpha", "beta", "gamma_x", "größe"])
imports = st.one_of(
    st.builds("import {} as {}".format, names, names),
    st.builds("from {} import {}".format, names, names),
    st.builds("from .{} import (\n        {},\n        {}, # why\n    )".format, names, names, names),
    st.builds("from . import *".format),
)
others = st.sampled_from(["value = 1", "print('imports json')", "x = [1,\n         2]", "pass"])
statements = st.lists(st.one_of(imports, others), min_size=1, max_size=6)


@given(statements, statements)
def test_no_import_is_left_and_no_line_moves(inside: list[str], outside: list[str]) -> None:
    text = "\n".join(outside) + "\ndef f():\n    " + "\n    ".join(inside) + "\n"
    if "import *" in "\n".join(inside):
        text = text.replace("import *", "import star")
    hidden = without_imports(text)
    tree = ast.parse(hidden)
    assert not any(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.walk(tree))
    before, after = text.split("\n"), hidden.split("\n")
    assert len(before) == len(after)
    kept = [node.lineno for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Assign | ast.Expr)]
    assert all(before[line - 1] == after[line - 1] for line in kept)


def test_doctests_keep_their_prompts_and_lose_their_imports() -> None:
    text = '"""Doc.\n\n>>> from a import (\n...     secret,\n... )\n>>> secret(1)\n2\n>>> import hidden\n"""\n'
    hidden = without_imports(text)
    assert hidden.count("secret") == 1  # the call, which is code
    assert "hidden" not in hidden
    assert [line[:3] for line in hidden.split("\n")[2:5]] == [">>>", "...", "..."]


@pytest.mark.parametrize(
    ("quoted", "left"),
    [
        ("import secret", ""),
        ("x = 1; import secret.part as secret, secrets", "x = 1;"),
        ("from secret import (\n    secrets,\n)  # why", "\n\n  # why"),
        ("from .secret import secret as s, \\\n    secrets\nsecret = 1", "\n\nsecret = 1"),
        ("    from secret import *", ""),
        ("use ``from secret import secrets`` or `import secret`.", "use ```` or ``."),
        (r"a\nimport secret\nb", r"a\n\nb"),
        ("from größe import größe", ""),
        ("import the secret before you run it", None),
        ("what a secret import is", None),
        ("important = secret", None),
    ],
)
def test_what_a_text_quotes_is_hidden_and_prose_is_left(quoted: str, left: str | None) -> None:
    """Fences and templates say what a module imports as well as its statements do."""

    kept = quoted if left is None else left
    around = ['"""{}\n"""\n', 'def f():\n    x = """\n{}\n"""\n', *(["x = 1\n# {}\n"] if "\n" not in quoted else [])]
    for each in around:
        hidden = without_imports(each.format(quoted))
        assert hidden.replace(" ", "") == each.format(kept).replace(" ", "")
        widths = [[len(line.encode()) for line in text.split("\n")] for text in (hidden, each.format(quoted))]
        assert widths[0] == widths[1]


def test_what_a_module_exports_is_hidden_too() -> None:
    assert "secret" not in without_imports('__all__ = [\n    "secret",\n]\n__all__ += ["secret"]\n')
    assert "kept" in without_imports('__all = ["kept"]\n')


def test_code_alone_has_neither_prose_nor_imports() -> None:
    text = '"""Reads numpy."""\nimport os\n\n# with pandas\ndef f():\n    """Of scipy."""\n    return os.sep  # torch\n'
    assert code_alone(text) == "def f():\n    return os.sep  # torch"
