"""`assay lint` over files of the standard library: read anew, and from its cache; a parse of the same files for scale.

The scale is what no reader of syntax trees can go below: `ast.parse` of every file in one process.
"""

from __future__ import annotations

import ast
import shutil
import sysconfig
import time
import warnings
from pathlib import Path

import pytest

from assay.lint import engine
from assay.lint.cache import Cache

FILES = 1000


@pytest.fixture
def tree(tmp_path, benchmark):
    library = Path(sysconfig.get_paths()["stdlib"])
    folders = sorted(f for f in library.iterdir() if f.is_dir() and f.name != "site-packages")
    sources = (p for f in [library, *folders] for p in sorted(f.glob("*.py")) if p.stat().st_size > 500)
    for number, source in zip(range(20 if benchmark.disabled else FILES), sources, strict=False):
        shutil.copy(source, tmp_path / f"m{number}.py")
    return tmp_path


def test_a_thousand_files(benchmark, tree):
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path in tree.glob("*.py"):
            try:
                ast.parse(path.read_bytes())
            except (SyntaxError, ValueError):
                continue
    parsed = time.perf_counter() - start
    store = tree / "cache.json"
    result = benchmark.pedantic(
        lambda: engine.run([tree], cache=Cache(store)), setup=lambda: store.unlink(True), rounds=3
    )
    start = time.perf_counter()
    assert engine.run([tree], cache=Cache(store)).findings == result.findings
    benchmark.extra_info["from the cache, s"] = time.perf_counter() - start
    benchmark.extra_info["ast.parse alone, one process, s"] = parsed
    benchmark.extra_info["lines"] = result.lines
