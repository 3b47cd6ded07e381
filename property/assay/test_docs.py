"""Documents cannot drift: commands that they show exist, tables that they hold are generated."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from assay import metrics
from assay.cli import app

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands() -> list[tuple[str, str]]:
    found = []
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        shown = re.findall(r"`(assay [^`\n]+)`", text)
        for block in re.findall(r"```(?:\w*)\n(.*?)```", text, flags=re.S):
            shown += [line.split("#")[0].strip() for line in block.splitlines() if line.startswith("assay ")]
        found += [(document.name, command) for command in shown]
    return found


@pytest.mark.parametrize(("document", "command"), sorted(set(commands())), ids=lambda value: str(value))
def test_documented_commands_and_flags_exist(document, command):
    words = shlex.split(command)[1:]
    path = []
    for word in words:
        if word.startswith("-") or word.isupper() or "/" in word or "." in word:
            break
        result = CliRunner().invoke(app, [*path, word, "--help"])
        if result.exit_code != 0:
            break
        path.append(word)
    assert path, f"{document}: `{command}`: no such command"
    help_text = CliRunner().invoke(app, [*path, "--help"], terminal_width=200).output
    for flag in re.findall(r"--[a-z][a-z-]*", command):
        assert flag in help_text, f"{document}: `{command}`: no option {flag}"


def test_documents_show_commands_at_all():
    assert len(commands()) > 5


def test_make_targets_in_documents_exist():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.M))
    shown = {
        name for document in DOCUMENTS for name in re.findall(r"^make ([a-z]+)", document.read_text("utf-8"), re.M)
    }
    assert shown
    assert shown <= targets


def test_metric_catalogue_is_current():
    """`assay spec metrics` writes it; run `(echo '# Metrics'; echo; assay spec metrics) > docs/metrics.md`."""
    assert (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8") == "# Metrics\n\n" + metrics.catalogue()


def test_links_between_documents_lead_somewhere():
    for document in DOCUMENTS:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_the_guides_own_metric_is_one(toy):
    """It registers, is told from trivial policies, and judges: hand-computed on the toy's scores."""
    guide = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")
    (block,) = [one for one in re.findall(r"```python\n(.*?)```", guide, flags=re.S) if "register(" in one]
    toy.file("acceptance/metrics.py").write_text(block)
    toy.edit(
        "spec/toy.toml",
        '[[requirement]]\nid = "size"',
        '[[requirement]]\nid = "error"\nstatement = "Comes near the number"\nmetric = "forecast.pinball"\n'
        "options = { quantile = 0.5 }\nat_most = 0.2\n"
        '\n[[requirement]]\nid = "size"',
    )
    toy.file("acceptance/test_error.py").write_text(
        'import pytest\n\n\n@pytest.mark.requirement("toy/error")\ndef test_error(judge, toy, held):\n'
        '    judge(toy.predictions("scores", held["x"]), gold=[float(y) for y in held["y"]])\n'
    )
    assert toy.assay("spec", "lock").returncode == 0
    toy.pytest("acceptance/test_error.py")
    row = toy.rows()["error"]
    assert row["verdict"] == "PASS", row["reason"]
    assert 0 < row["value"] < 0.2
