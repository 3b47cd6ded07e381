"""Reports: what is shown equals the board, reads without colour at any width, and foreign text stays text."""

from __future__ import annotations

import io
import itertools
import json
import math
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from assay.board import Board, Row, SystemBoard
from assay.errors import AssayError
from assay.evidence import CheckResult, Comparison, Evidence, Hardware, SliceValue
from assay.report import advice, card, cells, github, html, junit, notation, picture, terminal
from assay.spec import Bound, Requirement
from assay.verdict import Kind, Move, Verdict

KINDS: tuple[Kind, ...] = ("PASS", "FAIL", "UNPROVEN", "VOID")
CPU = Hardware(kind="cpu", model="AMD EPYC 7B13", cores=2, memory_gib=24.0, platform="Linux x86_64")
WEIGHTS = "9f2c1ab04e77d35b8a6c10f4e2d9907163bb5ad8c4417f0e6a2d3c9b5e8f7a10"
HOSTILE = '<script>alert("x")</script> </td> \x00\x1b[31mred\x1b[0m \u202egnp.exe | `code` ::error::x %0A\nline 2'


def row(
    name: str,
    kind: Kind = "PASS",
    reason: str = "",
    *,
    value: float | None = None,
    interval: tuple[float, float] | None = None,
    moves: tuple[Move, ...] = (),
    waiver: str = "",
    attested: str = "",
    borrowed: bool = False,
    claim: str = "artifact",
    written: str = "",
    measured: dict[str, Any] | None = None,
    **requirement: Any,
) -> Row:
    """A row with evidence when `value` is given, without it otherwise."""
    requirement = {
        "statement": f"What {name} stands for, in a sentence",
        "metric": "classification.macro_auroc",
        "on": ("cpu",),
        "kind": claim,
        "reason": written,
        **requirement,
    }
    wanted = Requirement.model_validate({"id": name, **requirement})
    evidence = None
    if value is not None or measured is not None:
        evidence = Evidence.model_validate(
            {
                "system": "graphsage",
                "requirement": name,
                "target": "cpu",
                "profile": "cpu",
                "outcome": "measured",
                "value": value,
                "interval": interval,
                "method": "cluster bootstrap, 2,000 resamples",
                "n": 1,
                "requirement_digest": wanted.digest,
                "hardware": CPU,
                "weights": WEIGHTS,
                "measured_at": 1_790_000_000.0,
                **(measured or {}),
            }
        )
    return Row(
        requirement=wanted,
        verdict=Verdict(kind=kind, reason=reason),
        evidence=evidence,
        moves=moves,
        waiver=waiver,
        attested=attested,
        borrowed=borrowed,
        age_s=11_000.0 if evidence else None,
    )


def full_board() -> Board:
    """Every verdict and every feature of the models at once, with numbers as the real systems have them."""
    operators = {
        "arithmetic": 0.62,
        "boolean": 0.66,
        "compare": 0.70,
        "missing_return": 0.78,
        "variable_misuse": 0.86,
    }
    step = list(range(40))
    graphsage = (
        row(
            "bugs.auroc",
            reason="[0.727, 0.757] >= 0.7; beats ngram-logreg by 0.06",
            value=0.74231,
            interval=(0.72712, 0.75740),
            statement="Finds defects injected into functions of packages that it never saw in training",
            at_least=0.70,
            goal=0.74,
            data="bugs-heldout",
            split="by-distribution",
            beats=[{"baseline": "ngram-logreg", "margin": 0.06}, {"baseline": "size"}],
            slices=[{"by": "operator", "at_least": 0.6}, {"by": "distribution"}],
            moves=(Move(field="bound", before=">= 0.75", after=">= 0.70", when="2026-09-14"),),
            written="the pilot's ceiling on this corpus is 0.76",
            attested="cpu: PASS, attested on AMD EPYC 7B13, 2026-09-21; cuda: PASS, attested on NVIDIA H200, 2026-09-20",
            measured={
                "n": 12_400,
                "groups": 16,
                "chance": 0.5,
                "ceiling": 0.97,
                "baselines": {
                    "majority": Comparison(value=0.5, difference=0.2423, interval=(0.2271, 0.2574)),
                    "size": Comparison(value=0.5412, difference=0.2011, interval=(0.18, 0.222)),
                    "ngram-logreg": Comparison(value=0.6131, difference=0.0692, interval=(0.048, 0.0901)),
                },
                "controls": {"re-initialised": Comparison(value=0.5031, difference=0.2392, interval=(0.22, 0.26))},
                "slices": {
                    "operator": {
                        operator: SliceValue(value=x, interval=(x - 0.03, x + 0.03), n=1_550)
                        for operator, x in operators.items()
                    },
                    "distribution": {f"package-{i:02d}": SliceValue(value=0.70 + 0.005 * i, n=775) for i in range(16)},
                },
                "checks": (
                    CheckResult(name="oracle", ok=True, detail="1.000"),
                    CheckResult(name="shuffled", ok=True, detail="0.499"),
                ),
                "code": {"graphsage.model": "11" * 32, "acceptance/test_graphsage.py": "22" * 32},
                "data": {"bugs-heldout": "33" * 32, "train": "44" * 32},
                "sources": ("55" * 32,),
                "artifact": "66" * 32,
                "seeds": (0,),
                "details": {
                    "samples": [
                        {
                            "function": "parse_header",
                            "source": "def parse_header(x):\n    return x[0] if len(x) >= 0 else None",
                            "gold": True,
                            "score": 0.93127,
                        },
                        {"function": HOSTILE, "source": "x" * 5000, "gold": False, "score": None},
                    ],
                    "curve": [
                        {"x": step, "y": [0.7 * math.exp(-i / 12) + 0.1 for i in step], "label": "train"},
                        {
                            "x": step,
                            "y": [0.7 * math.exp(-i / 14) + 0.16 if i != 7 else None for i in step],
                            "label": "dev",
                        },
                    ],
                    "reliability": {
                        "confidence": [0.05, 0.25, 0.45, 0.65, 0.85, None],
                        "accuracy": [0.08, 0.22, 0.41, 0.58, 0.79, None],
                        "count": [5200, 2600, 1900, 1500, 1200, 0],
                    },
                    "threshold on dev": {"value": 0.412, "recall": 0.31},
                },
            },
        ),
        row(
            "bugs.location",
            "FAIL",
            "0.4170 [0.402, 0.432] misses >= 0.45",
            value=0.4170,
            interval=(0.4021, 0.4318),
            statement="Points at the node that holds the defect",
            metric="classification.top1",
            at_least=0.45,
            goal=0.60,
            beats=[
                {"baseline": "random-candidate-site", "relative": 0.05},
                {"baseline": "most-frequent-node-type"},
            ],
            measured={
                "n": 6_200,
                "groups": 16,
                "chance": 0.05,
                "baselines": {
                    "random-candidate-site": Comparison(value=0.31, difference=0.09, interval=(0.07, 0.11)),
                    "most-frequent-node-type": Comparison(value=0.12, difference=0.29, interval=(0.27, 0.31)),
                },
            },
        ),
        row(
            "imports.recall",
            "UNPROVEN",
            "0.7130 is right of >= 0.7 but [0.6951, 0.7309] is not; 1,240 more items",
            value=0.7130,
            interval=(0.6951, 0.7309),
            statement="Names the top-level modules that a function needs, imports removed and names masked",
            metric="classification.recall_at_5",
            at_least=0.70,
            waiver="the masked corpus is being enlarged (until 2026-12-01)",
            beats=[{"baseline": "popularity"}, {"baseline": "naive-bayes", "margin": 0.05}],
            measured={
                "n": 2_310,
                "groups": 9,
                "chance": 0.021,
                "baselines": {
                    "popularity": Comparison(value=0.416, difference=0.297, interval=(0.27, 0.32)),
                    "naive-bayes": Comparison(value=0.655, difference=0.008, interval=(-0.011, 0.027)),
                },
                "needed": "1,240 more items",
            },
        ),
        row(
            "confidence.ece",
            "VOID",
            "constant: one answer for all reaches it too (0.071); shuffled: gold and scores share an order",
            value=0.0612,
            interval=(0.055, 0.0691),
            statement="What it is sure of is right as often as it says",
            metric="calibration.ece",
            at_most=0.08,
            measured={
                "n": 3_900,
                "groups": 12,
                "checks": (CheckResult(name="constant", ok=False, detail="0.071"),),
            },
        ),
        row(
            "latency.p95",
            reason="[6.12, 6.5] < 10",
            value=6.3134,
            interval=(6.1218, 6.5012),
            statement="Source text to decoded answer, public entry point, unrepeated functions, one core",
            metric="latency.p95_ms",
            below=10,
            origin="user",
            measured={
                "n": 4_096,
                "timing": True,
                "details": {"percentiles": {"p50": 4.21, "p95": 6.3134, "p99": 9.999}},
                "baselines": {"interpreter start": Comparison(value=412.0)},
            },
        ),
        row(
            "throughput",
            reason="[1,190, 1,251] >= 928",
            value=1220.52,
            interval=(1190.1, 1251.7),
            statement="Predictions a second over a batch of real functions",
            metric="latency.items_per_second",
            at_least=928,
            origin="user",
            measured={"n": 20_480, "timing": True},
        ),
        row(
            "model.parameters",
            reason="[2,446,137, 2,446,137] in [2.3275e+06, 2.5725e+06]",
            value=2_446_137.0,
            interval=(2_446_137.0, 2_446_137.0),
            statement="The network has the size that was ordered",
            metric="artifact.parameters",
            within=[2_327_500, 2_572_500],
            origin="user",
        ),
        row(
            "confidence.humaneval",
            "UNPROVEN",
            "no evidence on this hardware; run `assay verify`",
            statement="Tells programs that work from programs that do not, on all 164 problems",
            at_least=0.62,
            origin="user",
        ),
        row(
            "edges.matter",
            "UNPROVEN",
            "method claim: needs 3 seeds; run `assay verify --full`",
            claim="method",
            statement="Training without the edges loses at least 0.02",
            metric="classification.macro_auroc_difference",
            at_least=0.02,
        ),
        row(
            "edges.pooling",
            "FAIL",
            "0.0031 does not beat mean-pooling (0.7411)",
            value=0.0031,
            interval=(-0.004, 0.0102),
            claim="method",
            statement="Attention pooling beats mean pooling at the same budget",
            metric="classification.macro_auroc_difference",
            above=0,
            measured={
                "n": 12_400,
                "groups": 16,
                "seeds": (0, 1, 2),
                "baselines": {"mean-pooling": Comparison(value=0.7411, difference=0.0031, interval=(-0.004, 0.0102))},
            },
        ),
        row(
            "bugs.precision_at_50",
            reason="reported; never gates",
            value=0.22,
            interval=(0.1297, 0.352),
            statement="Share of the 50 surest findings in untouched packages that a reader calls a defect",
            metric="classification.precision",
            measured={"n": 50, "groups": 4},
        ),
    )
    persona = (
        row(
            "cost.saved",
            "UNPROVEN",
            "error: the run ended with MemoryError",
            at_least=0.75,
            metric="runs.share",
            origin="user",
            measured={"outcome": "error", "reason": "the run ended with MemoryError", "n": 0},
        ),
        row(
            "text.hostile",
            "FAIL",
            HOSTILE,
            statement=HOSTILE,
            value=1.0,
            interval=(0.5, 1.5),
            at_most=0.5,
            metric="text.repetition",
            measured={"n": 3, "baselines": {HOSTILE: Comparison(value=0.2)}},
        ),
    )
    title = "GraphSAGE over code graphs"
    travelled = row(
        "bugs.span",
        "UNPROVEN",
        "ahead of most-frequent-node by less than the paired interval can tell; "
        "most-frequent-node: about 5 more groups (412 items)",
        statement="Names the very node that was changed",
        value=0.4712,
        interval=(0.4511, 0.4913),
        at_least=0.45,
        beats=[{"baseline": "most-frequent-node"}],
        attested="cuda: UNPROVEN, attested on NVIDIA H200, 2026-09-20",
        borrowed=True,
        measured={
            "target": "cuda",
            "n": 1_240,
            "groups": 15,
            "hardware": Hardware(kind="cuda", model="NVIDIA H200", cores=1, memory_gib=139.8),
            "baselines": {
                "most-frequent-node": Comparison(
                    value=0.45, difference=0.0212, interval=(-0.003, 0.0454), needed="about 5 more groups (412 items)"
                )
            },
        },
    )
    return Board(
        systems=(
            SystemBoard(
                name="graphsage",
                title=title,
                target="cpu",
                rows=graphsage,
                dropped=("bugs.line: replaced by bugs.location, which judges the node (last measured 2026-09-02)",),
                moved=("goalpost moved [data.defects] pairs 4000 -> 3000, since 2026-09-14",),
                attested=(
                    "cpu: 6 of 11 gating rows PASS, NOT DONE when attested on AMD EPYC 7B13, 2026-09-21",
                    "cuda: 9 of 11 gating rows PASS, DONE when attested on NVIDIA H200, 2026-09-20",
                ),
            ),
            SystemBoard(name="graphsage", title=title, target="cuda", rows=(graphsage[7], travelled)),
            SystemBoard(
                name="persona",
                title="Persona-consistent chatbot",
                target="cpu",
                rows=persona,
                problems=("ledger row 17: the chain is broken; the file was edited by hand",),
            ),
            SystemBoard(name="ragcun", title="Retrieval with Gaussian embeddings", target="cpu", rows=()),
            SystemBoard(name="twin", title="The honest twin", target="cpu", rows=(graphsage[0], graphsage[4])),
        )
    )


BOARD = full_board()
ROWS = [(system, one) for system in BOARD.systems for one in system.rows]
foreign = st.text(max_size=120) | st.sampled_from(
    ["</title><script>x</script>", "<!--", "]]>", "[bold]x[/]", "a|b", "`", HOSTILE]
)
finite = st.floats(allow_nan=False, allow_infinity=False)


def hostile_board(text: str) -> Board:
    """One FAIL row that says the text wherever a text can be said."""
    one = row(
        "a.b",
        "FAIL",
        text,
        statement=text + " " * 8,
        value=0.4,
        interval=(0.3, 0.5),
        at_least=0.5,
        written=text,
        waiver=text,
        attested=text,
        borrowed=True,
        moves=(Move(field="bound", before=text, after=">= 0.5"),),
        slices=[{"by": text}],
        measured={
            "n": 9,
            "method": text,
            "baselines": {text: Comparison(value=0.2, difference=0.2, interval=(0.1, 0.3), needed=text)},
            "slices": {text: {text: SliceValue(value=0.4, n=9)}},
            "checks": (CheckResult(name=text, ok=True, detail=text),),
            "details": {
                text: {text: text},
                "samples": [{text: text, "score": 0.4}],
                "curve": {"x": [0, 1], "y": [0, 1], "label": text},
            },
        },
    )
    told = {"problems": (text,), "dropped": (text,), "moved": (text,), "attested": (text,)}
    return Board(systems=(SystemBoard(name=text, title=text, target="cpu", rows=(one,), **told),))


# --- notation ---


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (0.5, "0.5"),
        (0.61312, "0.6131"),
        (2_446_137.0, "2,446,137"),
        (1234.567, "1,235"),
        (12.3456, "12.35"),
        (-0.02, "-0.02"),
        (0.0, "0"),
        (0.00001234, "1.234e-05"),
        (None, "none"),
        (math.inf, "inf"),
    ],
)
def test_number(x: float | None, text: str) -> None:
    assert notation.number(x) == text


def test_digits_follow_the_width_of_the_interval() -> None:
    assert str(notation.measured(0.74231, (0.72712, 0.7574))) == "0.742 [0.727, 0.757]"
    assert str(notation.measured(1220.52, (1190.1, 1251.7), unit="/s")) == "1,221 [1,190, 1,252] /s"
    assert str(notation.measured(164, (164, 164))) == "164 exact"
    assert notation.difference(0.0692, (0.048, 0.0901)) == "+0.069 [+0.048, +0.090]"
    assert notation.difference(0.004, (-0.011, 0.019)) == "+0.004 [-0.011, +0.019]"
    assert notation.difference(None) == ""


def test_rounding_does_not_lift_a_value_over_its_bound() -> None:
    assert str(notation.measured(0.74961, (0.70, 0.80), (0.75,))) == "0.7496 [0.7000, 0.8000]"
    assert notation.measured(9.9999, None, (10.0,)).value == "9.9999"
    assert notation.difference(0.1, (0.0004, 0.2)) == "+0.1000 [+0.0004, +0.2000]"


@given(finite, st.lists(finite, max_size=2))
def test_law_what_is_shown_keeps_its_side_of_every_landmark(x: float, landmarks: list[float]) -> None:
    near = [math.nextafter(x, 0.0), *landmarks]
    shown = float(notation.measured(x, None, near).value.replace(",", ""))
    assert [(shown > k, shown < k) for k in near] == [(x > k, x < k) for k in near]


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e3))
def test_law_what_is_shown_is_the_number_to_half_its_last_digit(x: float, width: float) -> None:
    text = notation.measured(x, (x - width, x + width)).value.replace(",", "")
    decimals = len(text.partition(".")[2])
    assert abs(float(text) - x) <= 0.5 * 10.0**-decimals * (1 + 1e-6)
    assert decimals == 0 or 10.0**-decimals >= 0.009 * 2 * width, "more digits than the interval carries"
    assert x == int(x) or 10.0**-decimals <= max(1.0, 0.11 * 2 * width), "fewer digits than it carries"


@given(finite)
def test_law_exact_reads_back(x: float) -> None:
    assert float(notation.exact(x).replace(",", "")) == x


@pytest.mark.parametrize(
    ("metric", "unit"),
    [
        ("latency.p95_ms", "ms"),
        ("latency.overhead", ""),
        ("latency.overhead_ms", "ms"),
        ("latency.p95", "ms"),
        ("latency.throughput", "/s"),
        ("runs.items_per_second", "/s"),
        ("artifact.size_mib", "MiB"),
        ("classification.f1", ""),
        ("ranking.recall_at_5", ""),
        ("geometry.s", ""),
    ],
)
def test_unit(metric: str, unit: str) -> None:
    assert notation.unit(metric) == unit


@pytest.mark.parametrize(
    ("bound", "plain", "in_print"),
    [
        ({"at_least": 0.75}, ">= 0.75", "≥ 0.75"),
        ({"at_most": 10}, "<= 10", "≤ 10"),
        ({"above": 0}, "> 0", "> 0"),
        ({"below": 1234567.5}, "< 1,234,567.5", "< 1,234,567.5"),
        ({"equals": 8000}, "== 8,000", "= 8,000"),
        ({"within": (0.5, 2)}, "in [0.5, 2]", "in [0.5, 2]"),
    ],
)
def test_bound(bound: dict[str, Any], plain: str, in_print: str) -> None:
    assert notation.bound(Bound(**bound)) == plain
    assert notation.bound(Bound(**bound), typographic=True) == in_print


@given(foreign)
def test_law_clean_text_steers_nothing(text: str) -> None:
    shown = notation.clean(text)
    assert all(c.isprintable() or c in "\u200c\u200d" or c.isspace() for c in shown)
    assert not set(shown) & set("\n\r\t\x0b\x0c\x85\u2028\u2029")


def test_clean_names_what_it_removes() -> None:
    assert notation.clean("\x1b[31m \u202e a\tb") == "<U+001B>[31m <U+202E> a b"


def test_the_strongest_baseline_is_the_one_it_is_least_ahead_of() -> None:
    table = {
        "far": Comparison(value=0.1, difference=0.6, interval=(0.5, 0.7)),
        "near": Comparison(value=0.6, difference=0.1, interval=(0.0, 0.2)),
    }
    with_difference = row("a.b", value=0.7, measured={"baselines": table})
    assert (found := cells.strongest(with_difference)) is not None
    assert found.name == "near"
    without = {"slow": Comparison(value=40.0), "fast": Comparison(value=12.0)}
    less_is_better = row("a.b", value=9.0, at_most=10, measured={"baselines": without})
    assert (found := cells.strongest(less_is_better)) is not None
    assert found.name == "fast"
    assert cells.strongest(row("a.b")) is None


# --- terminal ---


def printed(board: Board, width: int = 100, *, verbose: bool = False, **console: Any) -> str:
    file = io.StringIO()
    terminal.render(board, Console(file=file, width=width, **console), verbose=verbose)
    return file.getvalue()


def row_block(text: str, name: str, kind: str) -> str:
    """The lines of one row, up to the next verdict word, blank line or rule, with white space collapsed."""
    start = re.search(rf"^  {kind}\s+(\* )?{re.escape(name)}(?!\S)", text, re.MULTILINE)
    assert start is not None, f"{kind} {name} is not on the board"
    rest = text[start.start() :]
    end = re.search(r"\n(  (PASS|FAIL|UNPROVEN|VOID) |\n|[─-]{3})", rest)
    return " ".join(rest[: end.start() if end else None].split())


@pytest.mark.parametrize("width", [40, 60, 80, 100, 160, 240])
def test_every_row_shows_verdict_number_interval_bound_and_company_at_any_width(width: int) -> None:
    for system in BOARD.systems:
        text = printed(Board(systems=(system,)), width)
        for one in system.rows:
            block = row_block(text, one.requirement.id, one.kind)
            shown = [str(cells.measured(one)), cells.demand(one.requirement)]
            shown += [cells.size(one), cells.chance(one), *cells.remarks(one)]
            rival = cells.strongest(one)
            shown += [rival.lead] if rival else []
            shown += [notation.clean(one.verdict.reason)] if one.kind != "PASS" else []
            for fact in filter(None, shown):
                assert fact in block, f"{fact!r} is not in {block!r}"
        assert max(cell_len(line) for line in text.splitlines()) <= width


def test_numbers_on_the_board_are_those_of_the_evidence() -> None:
    assert row_block(printed(BOARD, 160), "bugs.auroc", "PASS") == (
        "PASS bugs.auroc 0.742 [0.727, 0.757] >= 0.7 12,400 (16) 0.5 "
        "ngram-logreg 0.6131 +0.069 [+0.048, +0.090] "
        "goalpost moved >= 0.75 -> >= 0.70, since 2026-09-14 (the pilot's ceiling on this corpus is 0.76)"
    )


def test_header_groups_marks_and_last_line() -> None:
    lines = printed(BOARD).splitlines()
    assert lines[0] == "graphsage on cpu: NOT DONE, 4 of 8 gating rows PASS"
    assert "5 PASS 2 FAIL 3 UNPROVEN 1 VOID" in lines[1]
    titles = [found[1] for line in lines if (found := re.match(r"  ([AMR][a-z]+ claims|Reported\S*)", line))]
    assert titles[:3] == ["Artifact claims", "Method claims", "Reported,"]
    assert any("* latency.p95" in line for line in lines)
    assert not any("* bugs.auroc" in line for line in lines)
    assert "  problem: ledger row 17: the chain is broken; the file was edited by hand" in lines
    assert "  dropped: bugs.line: replaced by bugs.location, which judges the node (last measured 2026-09-02)" in lines
    assert lines[-1] == "Next: `assay verify graphsage --hardware cpu`: 1 row without fresh evidence"


@pytest.mark.parametrize(
    "console",
    [
        {},
        {"force_terminal": True, "no_color": True, "color_system": "truecolor"},
        {"force_terminal": True, "color_system": None},
    ],
)
def test_no_ansi_without_colour(console: dict[str, Any]) -> None:
    assert "\x1b" not in printed(BOARD, **console)


def test_colour_adds_nothing_but_colour() -> None:
    coloured = printed(BOARD, force_terminal=True, no_color=False, color_system="standard")
    assert "\x1b[1;32mPASS" in coloured
    assert "\x1b[1;31mFAIL" in coloured
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == printed(BOARD)


def test_ascii_locale_gets_ascii() -> None:
    system = SystemBoard(name="straße", title="日本 · Ω", target="cpu", rows=BOARD.systems[0].rows)
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding="ascii", newline="\n")
    terminal.render(Board(systems=(system,)), Console(file=file, width=100))
    file.flush()
    text = raw.getvalue().decode("ascii")
    assert r"stra\xdfe on cpu" in text
    assert "0.742 [0.727, 0.757]" in text


@settings(max_examples=60, deadline=None)
@given(foreign, st.integers(24, 120))
def test_law_foreign_text_neither_steers_the_terminal_nor_is_mark_up(text: str, width: int) -> None:
    shown = printed(hostile_board(text), width, verbose=True)
    assert all(c.isprintable() or c in "\n\u200c\u200d" or c.isspace() for c in shown)
    assert re.sub(r"\s", "", notation.clean(text)) in re.sub(r"\s", "", shown)


def test_verbose_says_what_the_number_belongs_to() -> None:
    text = printed(BOARD, 160, verbose=True)
    for said in (
        "Finds defects injected into functions of packages that it never saw in training",
        "baseline size 0.5412, +0.201 [+0.180, +0.222]",
        "control re-initialised 0.5031, +0.239 [+0.220, +0.260]",
        "operator = boolean: 0.660 [0.630, 0.690], n 1,550",
        "check constant TRIPPED: 0.071",
        f"weights {WEIGHTS}",
        "measured 3 h ago",
    ):
        assert said in text


# --- the next step ---


def next_of(*rows: Row, problems: tuple[str, ...] = ()) -> str:
    system = SystemBoard(name="s", title="S", target="cpu", rows=rows, problems=problems)
    return advice.next_step(Board(systems=(system,)))


def test_next_step_asks_for_the_cheapest_thing_that_helps() -> None:
    missing = row("a.missing", "UNPROVEN", "no evidence on this hardware", at_least=0.5)
    stale = row("a.stale", "UNPROVEN", "stale: code changed", value=0.6, interval=(0.55, 0.65), at_least=0.5)
    void = row("a.void", "VOID", "oracle: 0.4", value=0.6, at_least=0.5)
    far = row("a.far", "FAIL", "0.1 misses >= 0.5", value=0.1, at_least=0.5)
    near = row("a.near", "FAIL", "0.49 misses >= 0.5", value=0.49, at_least=0.5)
    undecided = row("a.open", "UNPROVEN", "needs 40 more items", value=0.51, interval=(0.4, 0.6), at_least=0.5)
    method = row("a.method", "UNPROVEN", "method claim", at_least=0.5, claim="method", origin="user")
    good = row("a.good", value=0.9, interval=(0.8, 1.0), at_least=0.5)
    everything = (good, method, undecided, far, near, void, stale, missing)
    assert next_of(*everything, problems=("torn",)).startswith("s: torn")
    assert next_of(*everything) == "`assay verify s --hardware cpu`: 2 rows without fresh evidence"
    assert next_of(*everything[:6]) == "s: find out why a.void cannot be trusted: oracle: 0.4"
    assert next_of(*everything[:5]) == "s: a.near is the nearest of 2 misses: 0.49 misses >= 0.5"
    assert next_of(*everything[:3]) == "s: settle a.open: needs 40 more items"
    assert next_of(*everything[:2]).startswith("`assay verify s --hardware cpu --full`: 1 row")
    assert next_of(good).startswith("all DONE")
    assert next_of(row("a.shown", value=1.0)).startswith("s: no row gates")
    assert "assay init" in advice.next_step(Board(systems=()))


# --- HTML ---


class Page(HTMLParser):
    """What a browser would see: tags, ids, references and text; tags that do not nest are an error."""

    CHILDLESS = frozenset({"meta", "link", "br", "input"})

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.labels: list[str] = []
        self.words: list[str] = []
        self.handlers: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            self.handlers += [name] if name.startswith("on") else []
            self.ids += [value or ""] if name == "id" else []
            self.references += [value or ""] if name in ("href", "src", "action", "srcset") else []
            self.labels += (value or "").split() if name == "aria-labelledby" else []
        if tag not in self.CHILDLESS:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.CHILDLESS:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1] == tag, f"</{tag}> closes <{self.open[-1]}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return collapsed("".join(self.words))


def collapsed(text: str) -> str:
    return " ".join(text.split())


def check_page(page: str) -> Page:
    """What holds for every page: well nested, no script, no request, ids unique, references answered."""
    seen = Page(page)
    assert not seen.open
    assert "script" not in seen.tags
    assert not seen.handlers
    assert not {"iframe", "object", "embed", "img", "form", "base"} & set(seen.tags)
    assert len(set(seen.ids)) == len(seen.ids)
    assert set(seen.labels) <= set(seen.ids)
    for reference in seen.references:
        assert reference == "data:," or (reference.startswith("#") and reference[1:] in seen.ids), reference
    style = page[page.index("<style>") : page.index("</style>")]
    assert "@import" not in style
    assert "url(" not in style
    return seen


def test_html_is_one_self_contained_file_with_everything_on_the_board(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    page = html.render(BOARD, path)
    assert path.read_text(encoding="utf-8") == page == html.render(BOARD, None)
    seen = check_page(page)
    for system, one in ROWS:
        assert html.anchor(system, one) in seen.ids
        shown = [one.requirement.statement, one.kind, str(cells.measured(one)), cells.size(one)]
        for fact in [*shown, *cells.remarks(one)]:
            assert notation.clean(fact) in seen.text
    for said in (
        "beat by 0.06",
        "beat by 5 %",
        "33" * 32,
        "cluster bootstrap, 2,000 resamples",
        "6.313 ms",
        "9.999 ms",
        "0.660 [0.630, 0.690]",
        "def parse_header(x):",
        "and 1,000 more characters",
        '"recall": 0.31',
        "Not to be trusted: ledger row 17",
        "no evidence on this hardware; run assay verify",
        "TRIPPED: 0.071",
        "16 slices by distribution",
        "By operator, each ≥ 0.6",
    ):
        assert said in seen.text, said


@pytest.mark.parametrize(
    ("kind", "cores", "told"), [("cpu", 1, "1 core"), ("cpu", 2, "2 cores"), ("cuda", 1, "1 device")]
)
def test_a_processor_has_cores_and_a_graphics_card_is_a_device(kind: str, cores: int, told: str) -> None:
    assert cells.units(Hardware(kind=kind, model="m", cores=cores)) == told


def test_what_was_moved_dropped_and_attested_is_said_with_its_day_everywhere() -> None:
    """Law: no report shows a verdict without what was loosened for it, when, and where its evidence is from."""
    facts = [
        "goalpost moved >= 0.75 -> >= 0.70, since 2026-09-14",
        "goalpost moved [data.defects] pairs 4000 -> 3000, since 2026-09-14",
        "bugs.line: replaced by bugs.location, which judges the node (last measured 2026-09-02)",
        "cuda: 9 of 11 gating rows PASS, DONE when attested on NVIDIA H200, 2026-09-20",
        "not measured here; cuda: UNPROVEN, attested on NVIDIA H200, 2026-09-20",
        "about 5 more groups (412 items)",
    ]
    terminal_text = collapsed(printed(BOARD, 200))
    page = collapsed(" ".join(check_page(html.render(BOARD, None)).words))
    for fact in facts:
        assert fact in terminal_text
        assert fact in page


def test_html_rows_stand_as_in_the_specification() -> None:
    ids = [i for i in check_page(html.render(BOARD, None)).ids if i.startswith("graphsage--cpu--")]
    assert ids == [html.anchor(BOARD.systems[0], one) for one in BOARD.systems[0].rows]


def test_html_of_nothing() -> None:
    assert "The board is empty." in check_page(html.render(Board(systems=()), None)).text
    bare = row("a.b", "UNPROVEN", "none yet", at_least=0.5)
    board = Board(systems=(SystemBoard(name="new", title="New", target="cpu", rows=(bare,)),))
    assert "nothing measured" in check_page(html.render(board, None)).text


@settings(max_examples=30, deadline=None)
@given(foreign)
def test_law_foreign_text_stays_text_in_html(text: str) -> None:
    page = html.render(hostile_board(text), None)
    seen = check_page(page)
    assert "<script" not in page.lower()
    assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069]", page)
    assert re.sub(r"[\s`]", "", notation.clean(text)) in re.sub(r"[\s`]", "", seen.text)
    page.encode("utf-8")


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["x", "y", "label", "confidence", "accuracy", "count"]), inner)
    ),
    max_leaves=12,
)


def test_a_curve_of_one_point_beyond_the_whole_floats_is_drawn():
    """2**53 + 1 is 2**53: a margin of one around it is none."""
    assert "<svg" in picture.curves({"x": [2.0**53], "y": [0.5]}, "p")
    assert picture.Scale(3.0, 3.0, 10, 20).x(3.0) == 15


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(["samples", "curve", "percentiles", "reliability", "other"]), json_values))
def test_law_details_of_any_shape_are_shown(details: dict[str, Any]) -> None:
    blocks = html.blocks(row("a.b", value=0.5, measured={"details": details}), "p")
    assert len(blocks) == len(details)
    for block in blocks:
        assert not re.search(r'="[^"]*(nan|inf)', block.picture)
        Page(str(block.picture))


def test_malformed_details_are_shown_as_data() -> None:
    details = {"curve": {"x": [1, 2], "y": [1]}, "reliability": {"confidence": [2.0], "accuracy": [0.5]}}
    blocks = html.blocks(row("a.b", value=0.5, measured={"details": details}), "p")
    assert [json.loads(block.text) for block in blocks] == list(details.values())


# --- pictures ---


def shapes(svg: str, name: str) -> list[dict[str, str]]:
    """The attributes of every element whose class begins with the name."""
    tags = re.findall(rf'<\w+ class="{name}(?: [^"]*)?"[^>]*>', svg)
    return [dict(re.findall(r'([\w-]+)="([^"]*)"', tag)) for tag in tags]


@pytest.mark.parametrize(
    ("bound", "left", "width"),
    [
        ({"at_least": 0.25}, 121, 327),
        ({"above": 0.25}, 121, 327),
        ({"at_most": 0.25}, 12, 109),
        ({"below": 0.75}, 12, 327),
        ({"within": [0.25, 0.75]}, 121, 218),
        ({"equals": 0.25}, 121, 1),
    ],
)
def test_geometry_of_value_interval_and_region(bound: dict[str, Any], left: float, width: float) -> None:
    """The axis is [0, 1] on the pixels [12, 448]: 0.25 -> 12 + 0.25 * 436 = 121, 0.5 -> 230, 0.75 -> 339."""
    svg = picture.threshold(row("a.b", value=0.5, interval=(0.2, 0.8), **bound), "p")
    (shaded,) = shapes(svg, "region")
    assert (float(shaded["x"]), float(shaded["width"])) == (left, width)
    (dot,) = shapes(svg, "value")
    assert float(dot["cx"]) == 230
    (bar,) = shapes(svg, "interval")
    assert (float(bar["x1"]), float(bar["x2"])) == (99.2, 360.8)
    strict = "above" in bound or "below" in bound
    assert all(("strict" in line["class"]) == strict for line in shapes(svg, "bound"))


@pytest.mark.parametrize(
    ("name", "kind", "x"),
    [
        ("chance", "chance", 12 + 0.1 * 436),
        ("at best", "ceiling", 12 + 0.9 * 436),
        ("goal", "goal", 12 + 0.8 * 436),
        ("bm25", "baseline", 12 + 0.3 * 436),
        ("re-initialised", "control", 12 + 0.15 * 436),
    ],
)
def test_company_stands_at_its_value_with_its_name(name: str, kind: str, x: float) -> None:
    one = row(
        "a.b",
        value=0.6,
        at_least=0.5,
        goal=0.8,
        measured={
            "chance": 0.1,
            "ceiling": 0.9,
            "baselines": {"bm25": Comparison(value=0.3)},
            "controls": {"re-initialised": Comparison(value=0.15)},
        },
    )
    (group,) = re.findall(rf'<g class="{kind}">.*?</g>', picture.threshold(one, "p"))
    assert float(re.findall(r'x1="([\d.]+)"', group)[0]) == pytest.approx(x, abs=0.051)
    assert re.findall(r"<text[^>]*>([^<]*)</text>", group) == [name]


def test_axis() -> None:
    assert picture.axis(row("a.b", value=0.5, interval=(0.2, 0.8), at_least=0.5))[:2] == (0.0, 1.0)
    low, high = picture.axis(row("a.b", value=8.0, interval=(7.0, 9.0), below=10))[:2]
    assert (low, high) == (pytest.approx(6.76), pytest.approx(10.24)), "8 % of the span [7, 10] on either side"
    company = {"baselines": {"x": Comparison(value=400.0)}}
    far = row("a.b", value=8.0, interval=(7.0, 9.0), below=10, measured=company)
    assert picture.axis(far)[:2] == (low, high)
    assert "x 400 ▸" in picture.threshold(far, "p")
    assert picture.axis(row("a.b", value=164.0)).holds(164.0)


@given(finite, finite, finite, finite, finite)
def test_law_pictures_are_finite_and_inside(v: float, a: float, b: float, bound: float, other: float) -> None:
    baselines = {"other": Comparison(value=other)}
    interval = (min(a, v), max(b, v))
    one = row("a.b", value=v, interval=interval, at_least=bound, measured={"baselines": baselines})
    svg = picture.threshold(one, "p")
    for pixel in re.findall(r' (?:x|x1|x2|cx)="([^"]*)"', svg):
        assert 0 <= float(pixel) <= picture.WIDTH
    (dot,) = shapes(svg, "value")
    (shaded,) = shapes(svg, "region")
    gap = float(dot["cx"]) - float(shaded["x"])
    assert gap >= 0 if v >= bound else gap <= 0, "the dot is inside the region exactly when the bound holds"


@given(st.lists(st.tuples(st.floats(12, 448), st.floats(10, 150)), max_size=10))
def test_law_flags_do_not_cover_each_other(labels: list[tuple[float, float]]) -> None:
    placed = picture.flags(labels)
    for index, flag in enumerate(placed):
        assert flag.left <= labels[index][0] <= flag.right
        assert flag.left >= 0
        assert flag.right <= picture.WIDTH
        for other in placed[index + 1 :]:
            assert flag.lane != other.lane or flag.right <= other.left or other.right <= flag.left


def test_flags_leave_leaders_free_where_there_is_room() -> None:
    neighbours = picture.flags([(100, 80), (120, 80), (140, 80)])
    for near, far in itertools.permutations(neighbours, 2):
        assert near.lane >= far.lane or not near.left < far.x < near.right, "a leader runs through a label"
    assert [flag.lane for flag in picture.flags([(50, 40), (150, 40), (250, 40)])] == [0, 0, 0]


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9))
def test_law_ticks_are_inside_and_few(low: float, span: float) -> None:
    found = picture.ticks(low, low + span)
    assert len(found) <= 6
    assert all(low - 1e-6 * span - 1e-6 <= tick <= low + span + 1e-6 * span + 1e-6 for tick in found)


def test_ticks_are_round() -> None:
    assert picture.ticks(0, 1) == [0, 0.2, 0.4, 0.6, 0.8, 1]
    assert picture.ticks(902, 1277) == [1000, 1100, 1200]
    assert picture.ticks(1, 1) == []


def test_curve_and_reliability_geometry() -> None:
    """x: [0, 2] on [52, 448]; y: [0, 1] on [180, 10]. Reliability: [0, 1] on [52, 292] and [250, 10]."""
    svg = picture.curves({"x": [0, 1, 2], "y": [0, 1, 0.5], "label": "loss"}, "p")
    (line,) = [one for one in shapes(svg, "curve") if "points" in one]
    assert line["points"] == "52,180 250,10 448,95"
    gap = picture.curves({"x": [0, 1, 2, 3], "y": [0, 1, None, 1]}, "p")
    assert len([one for one in shapes(gap, "curve") if "points" in one]) == 2
    svg = picture.reliability({"confidence": [0.25, 0.5], "accuracy": [0.5, 1.0], "count": [4, 1]}, "p")
    first, second = shapes(svg, "bin")
    assert (first["cx"], first["cy"], first["r"]) == ("112", "130", "8")
    assert (second["cx"], second["cy"], second["r"]) == ("172", "10", "5.2")


def test_slice_bars_start_at_zero_and_show_a_miss() -> None:
    """[0, 1] on the pixels [1, 179]: 0.5 -> 90."""
    parts = [SliceValue(value=0.5, n=1), SliceValue(value=0.9, n=1)]
    bound = Bound(at_least=0.6)
    scale = picture.slice_scale(parts, bound)
    (low,) = shapes(picture.slice_bar(parts[0], bound, scale), "bar")
    (high,) = shapes(picture.slice_bar(parts[1], bound, scale), "bar")
    assert (low["class"], low["x"], low["width"]) == ("bar bad", "1", "89")
    assert high["class"] == "bar"
    ends = re.findall(r'<text[^>]* x="([^"]*)"[^>]*>([^<]*)<', picture.slice_axis(scale))
    assert ends == [("1", "0"), ("179", "1")]


@pytest.mark.parametrize(
    ("n", "groups", "short", "long"),
    [
        (1240, 37, "1,240 (37)", "n 1,240 in 37 groups"),
        (40, 1, "40 (1)", "n 40 in 1 group"),
        (1, 1, "1", "n 1"),
        (500, 500, "500", "n 500"),
        (500, 0, "500", "n 500"),
    ],
)
def test_groups_are_said_where_they_are_not_the_items(n: int, groups: int, short: str, long: str) -> None:
    one = row("a.b", value=0.5, at_least=0.4, measured={"n": n, "groups": groups})
    assert (cells.size(one), cells.sample(one)) == (short, long)


# --- JUnit, GitHub, model card ---


@pytest.mark.parametrize("one", [one for _, one in ROWS], ids=lambda one: one.requirement.id)
def test_junit_properties_are_strings_that_read_back_exactly(one: Row) -> None:
    found = junit.properties(one)
    assert all(isinstance(name, str) and isinstance(value, str) for name, value in found)
    table = dict(found)
    assert table["verdict"] == one.kind
    if one.requirement.bound is not None:
        assert Bound.model_validate_json(table["bound"]) == one.requirement.bound
    evidence = one.evidence
    if evidence is None:
        assert "value" not in table
        return
    assert table["n"] == str(evidence.n)
    assert table["weights"] == WEIGHTS
    assert ("value" in table) == (evidence.value is not None)
    assert evidence.value is None or float(table["value"]) == evidence.value
    assert evidence.interval is None or tuple(json.loads(table["interval"])) == evidence.interval
    for name, other in evidence.baselines.items():
        assert float(table[f"baseline.{name}"]) == other.value
        if other.interval is not None:
            assert tuple(json.loads(table[f"baseline.{name}.difference"])) == other.interval


COMMAND = re.compile(r"::(error|warning|notice) (?:file=[^,:\r\n]*,(?:line=\d+,)?)?title=[^,:\r\n]*::[^\r\n]*")


def test_github_escaping_follows_the_documented_rules() -> None:
    one = row("a.b", "FAIL", "50% off\r\nnext, line: here", statement="A claim, of sorts", value=0.1, at_least=0.5)
    board = Board(systems=(SystemBoard(name="s", title="S", target="cpu", rows=(one,)),))
    assert github.annotations(board, {"s": ("spec/a,b:c%.toml", {"a.b": 12})}) == [
        "::error file=spec/a%2Cb%3Ac%25.toml,line=12,title=s/a.b on cpu%3A FAIL"
        "::A claim, of sorts%0A50%25 off%0D%0Anext, line: here"
    ]


def test_github_levels() -> None:
    commands = github.annotations(BOARD)
    assert all(COMMAND.fullmatch(command) for command in commands)

    def levels(name: str) -> list[str]:
        return [command[2:].split(" ")[0] for command in commands if f"{name} on " in command]

    assert levels("graphsage/bugs.location") == ["error"]
    assert levels("graphsage/confidence.ece") == ["error"]
    assert levels("graphsage/imports.recall") == ["notice"], "waived"
    assert levels("graphsage/edges.pooling") == ["notice"], "a method claim of ours does not gate"
    assert levels("graphsage/confidence.humaneval") == ["warning", "warning"], "on two targets"
    assert levels("graphsage/bugs.auroc") == ["warning"], "goalpost moved"
    assert levels("graphsage/latency.p95") == []
    assert levels("persona/ledger") == ["error"]
    order = [command[2:].split(" ")[0] for command in commands]
    assert order == sorted(order, key=["error", "warning", "notice"].index)


@given(foreign)
def test_law_foreign_text_is_no_workflow_command_and_no_mark_up(text: str) -> None:
    board = hostile_board(text)
    for command in github.annotations(board, {text: (text, {})}):
        assert COMMAND.fullmatch(command)
    summary = re.sub(r"\\[^\w\s]", "", github.summary(board))  # an escaped character is plain text
    assert not re.search(r"[<`\[~$]|^>", summary)
    table = [line for line in summary.splitlines() if line.startswith("|")]
    assert [line.count("|") for line in table] == [8, 8, 8]


def test_github_summary_shows_the_numbers() -> None:
    summary = github.summary(BOARD).replace("\\", "")
    assert summary.startswith("## Assay: NOT DONE\n")
    assert (
        "| ✅ PASS | bugs.auroc | 0.742 [0.727, 0.757] | >= 0.7 | 12,400 (16) "
        "| ngram-logreg 0.6131, +0.069 [+0.048, +0.090] net of margin | 0.5 |\n"
    ) in summary
    assert all(kind in summary for kind in KINDS)
    assert "**Next:** " in summary


def numbers_of(value: Any) -> list[float]:
    if isinstance(value, bool) or value is None:
        return []
    if isinstance(value, int | float):
        return [float(value)]
    if isinstance(value, dict):
        return [x for inner in value.values() for x in numbers_of(inner)]
    return [x for inner in value for x in numbers_of(inner)] if isinstance(value, list | tuple) else []


def words_of(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [word for key, inner in value.items() for word in [key, *words_of(inner)]]
    return [word for inner in value for word in words_of(inner)] if isinstance(value, list | tuple) else []


@pytest.mark.parametrize("name", ["graphsage", "persona", "ragcun", "twin"])
def test_model_card_holds_no_number_that_is_not_on_the_board(name: str) -> None:
    boards = [system for system in BOARD.systems if system.name == name]
    known = numbers_of([system.model_dump() for system in boards])
    counts = [(len(s.gating), sum(one.verdict.passed for one in s.gating)) for s in boards]
    known += numbers_of(counts)
    words = words_of([system.model_dump() for system in boards])
    spoken = " ".join([*words, *map(github.markdown, words)])
    tokens = re.findall(r"[\w,.+-]*\d[\w,.+-]*", card.model_card(BOARD, name))
    assert tokens or name == "ragcun"
    for token in tokens:
        bare = token.strip(",.+")
        digits = bare.replace(",", "")
        if re.fullmatch(r"-?\d+(\.\d+)?", digits) is None:
            assert bare in spoken, f"{bare} is not on the board"
            continue
        tolerance = 0.5000001 * 10.0 ** -len(digits.partition(".")[2])
        near = any(abs(float(digits) - x) <= tolerance for x in known)
        assert near or bare in spoken, f"{bare} is not on the board"


def test_model_card_says_what_was_not_shown() -> None:
    text = card.model_card(BOARD, "graphsage")
    assert text.startswith("# GraphSAGE over code graphs\n")
    assert "## On cpu: NOT DONE" in text
    assert "## On cuda: NOT DONE" in text
    for kind in ("FAIL", "UNPROVEN", "VOID"):
        assert f"- **{kind}** " in text
    assert WEIGHTS in text
    with pytest.raises(AssayError, match='did you mean "graphsage"'):
        card.model_card(BOARD, "grafsage")


def test_importing_the_package_pulls_neither_rich_nor_jinja2() -> None:
    light = "import sys, assay.report, assay.report.junit, assay.report.github, assay.report.card"
    check = f"{light}; sys.exit(bool({{'rich', 'jinja2'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
