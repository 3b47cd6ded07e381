"""Does the linter find what it is for, leave well-kept code alone, and cost little more than parsing?"""

from __future__ import annotations

import ast
import gc
import importlib.metadata
import importlib.util
import json
import os
import pkgutil
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from property.assay.lint_samples import HERE, Sample, blind, later, samples

from acceptance import sides
from assay.lint import discovery, engine, rules

_MODULES = pkgutil.walk_packages(rules.__path__, prefix=f"{rules.__name__}.")
LINTER = " ".join(["assay.lint.engine:run", *(f"{one.name}:RULE" for one in _MODULES if not one.ispkg)])
"""Rules register themselves, and no import statement names them: evidence has to."""
PLACES = ("impl", "acceptance", "property", "benchmarks", "docs")
LEFT_OUT = ("docs/lint.md", "property/assay/lint_samples")  # examples of what is wrong
DISTRIBUTIONS = {"sklearn": "scikit-learn", "torch_geometric": "torch-geometric"}


def build_listing(out: Path, names: list[str]) -> None:
    """Of what the data consist; the contents are the data set's sources."""
    (out / "names.json").write_text(json.dumps(names))


@pytest.fixture(scope="session")
def tables(assay_session) -> sides.Tables:
    return sides.tables(assay_session, "assay")


@pytest.fixture(scope="session")
def folders(tables) -> dict[str, Path]:
    """Installed packages by name."""
    found = {}
    for name in {*tables("lint")["code_bases"], tables("lint")["timed"]}:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            pytest.skip(f"{name} is not installed: pip install -e '.[systems]'")
        found[name] = Path(spec.origin).parent
    return found


@pytest.fixture(scope="session")
def code_bases(dataset, folders):
    """The packages as data: the record of an installation holds the digest of each of its files."""
    records = {}
    for name in folders:
        files = importlib.metadata.files(DISTRIBUTIONS.get(name, name)) or []
        (records[name],) = (Path(str(one.locate())) for one in files if one.name == "RECORD")
    return dataset("code-bases", build_listing, sources=records, tables=["lint"], names=sorted(folders))


@pytest.fixture(scope="session")
def itself(dataset, assay_session):
    """The project's folder, and its files as data."""
    root = assay_session.project.root
    found = [path for place in PLACES for _, path in discovery.files([root / place])]
    sources = {path.relative_to(root).as_posix(): path for path in found}
    return root, dataset("itself", build_listing, sources=sources, names=list(sources))


@pytest.fixture(scope="session")
def written(dataset):
    """The samples as data."""
    sources = {path.relative_to(HERE).as_posix(): path for path in sorted(HERE.rglob("*.md"))}
    return dataset("samples", build_listing, sources=sources, names=list(sources))


@pytest.mark.requirement("assay/lint.precision")
def test_well_kept_code_is_left_alone(judge, seen, tables, folders, code_bases):
    names: list[str] = []
    holds: list[bool] = []
    certain: list[str] = []
    for name in tables("lint")["code_bases"]:
        result = engine.run([folders[name]])
        assert result.broken == []
        found = [f for f in result.findings if f.confidence == "certain"]
        blocks = max(result.lines // tables("lint")["block"], len(found))
        names += [f"{name} {number}" for number in range(blocks)]
        holds += [number < len(found) for number in range(blocks)]
        certain += [f"{f.path}:{f.line} {f.rule} {f.message}" for f in found]
    judge(
        seen(LINTER, {"case": names, "holds": holds}),
        slices={"code base": [name.partition(" ")[0] for name in names]},
        datasets=[code_bases],
        details={"certain": certain},
    )


@pytest.mark.requirement("assay/lint.itself")
def test_assay_is_left_alone(judge, seen, itself, monkeypatch):
    monkeypatch.chdir(itself[0])
    result = engine.run([Path(one) for one in PLACES], exclude=LEFT_OUT)
    assert result.broken == []
    found: dict[str, list[str]] = {}
    for finding in result.findings:
        found.setdefault(finding.path, []).append(f"{finding.line} {finding.rule} {finding.message}")
    names = [*found, *(f"file {number}" for number in range(result.files - len(found)))]
    judge(
        seen(LINTER, {"case": names, "holds": [name not in found for name in names]}),
        datasets=[itself[1]],
        details={"findings": found},
    )


def looked_at(chosen: Sequence[Sample], folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[bool]:
    """Whether a rule of its row finds each sample."""
    for number, sample in enumerate(chosen):
        place = folder / str(number)
        place.mkdir()
        sample.write(place)
        monkeypatch.chdir(place)
        result = engine.run([Path()], workers=1)
        assert result.broken == []
        yield any(finding.rule in sample.rules for finding in result.findings)


@pytest.mark.requirement("assay/lint.recall")
def test_every_sample_of_a_false_claim_is_found(judge, seen, written, tmp_path, monkeypatch):
    chosen = [sample for sample in [*samples(), *blind(), *later()] if sample.caught]
    found = list(looked_at(chosen, tmp_path, monkeypatch))
    judge(
        seen(LINTER, {"case": list(map(str, chosen)), "holds": found}),
        slices={"row": [sample.row for sample in chosen]},
        datasets=[written],
    )


@pytest.mark.requirement("assay/lint.near_misses")
def test_honest_code_that_looks_alike_is_left_alone(judge, seen, written, tmp_path, monkeypatch):
    chosen = [sample for sample in [*samples(), *blind(), *later()] if not sample.caught]
    found = list(looked_at(chosen, tmp_path, monkeypatch))
    judge(
        seen(LINTER, {"case": list(map(str, chosen)), "holds": [not one for one in found]}),
        slices={"row": [sample.row for sample in chosen]},
        datasets=[written],
    )


@pytest.mark.requirement("assay/lint.speed")
def test_linting_costs_little_more_than_parsing(judge, seen, tables, folders, code_bases, assay_session):
    if assay_session.parallel:
        pytest.skip("timings are no evidence in a parallel run; run without -n")
    table = tables("lint")
    every = sorted(folders[table["timed"]].rglob("*.py"))
    step = max(1, len(every) // (table["batches"] * table["files"]))
    files = every[::step][: table["batches"] * table["files"]]
    batches = [files[start : start + table["files"]] for start in range(0, len(files), table["files"])]
    gc.collect()
    gc.freeze()  # what other tests hold is no concern of a collector that runs meanwhile
    try:
        pairs = [(_parsed(batch), _linted(batch)) for batch in batches]
    finally:
        gc.unfreeze()
    start = time.perf_counter()
    whole = engine.run(files)
    elapsed = time.perf_counter() - start
    judge(
        seen(LINTER, {"with": [linted for _, linted in pairs], "without": [parsed for parsed, _ in pairs]}),
        datasets=[code_bases],
        details={"lines": whole.lines, "two processes, s on the clock": elapsed, "cores": os.cpu_count()},
    )


def _parsed(files: Sequence[Path]) -> float:
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path in files:
            try:
                ast.parse(path.read_bytes())
            except (SyntaxError, ValueError):
                continue
    return time.process_time() - start


def _linted(files: Sequence[Path]) -> float:
    start = time.process_time()
    assert engine.run(files, workers=1).broken == []
    return time.process_time() - start
