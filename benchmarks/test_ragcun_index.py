"""What an index of 100,000 passages takes to build, in memory and on disk, beside bm25s, an exact scan and HNSW."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from property.ragcun.conftest import PROFILE, write

pytest.importorskip("torch")

from benchmarks.ragcun_index import INDICES
from corpus import distributions
from ragcun.train import train

LINES = 8


@pytest.fixture(scope="module")
def passages(request, tmp_path_factory) -> Path:
    """Pieces of source files, all different; few of them where nothing is timed."""
    few = request.config.getoption("benchmark_disable")
    pieces: dict[str, None] = {}
    for found in distributions.find(["python"] if few else ["python", "torch", "sympy", "scipy"]):
        for path in found.files:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            pieces |= {text: None for low in range(0, len(lines), LINES)
                       if (text := "\n".join(lines[low : low + LINES])).strip()}  # fmt: skip
    chosen = random.Random(0).sample(sorted(pieces), 2_000 if few else 100_000)
    return write(tmp_path_factory.mktemp("passages") / "passages.jsonl", [{"text": text} for text in chosen])


@pytest.fixture(scope="module")
def model(passages, tmp_path_factory) -> Path:
    """A model of the product's shape; RAGCUN_MODEL names a trained one."""
    if given := os.environ.get("RAGCUN_MODEL"):
        return Path(given)
    folder = tmp_path_factory.mktemp("ragcun")
    texts = [json.loads(line)["text"] for line in passages.read_text(encoding="utf-8").splitlines()[:2000]]
    rows = [{"record_id": str(i), "query": text[: len(text) // 2], "passage": text[len(text) // 2 :]}
            for i, text in enumerate(texts)]  # fmt: skip
    files = {side: write(folder / f"{side}.jsonl", rows[low::3]) for low, side in enumerate(("train", "fit", "dev"))}
    shape = {"vocabulary": 24000, "width": 256, "dimensions": 128, "query_length": 32, "passage_length": 128}
    train({**PROFILE, **shape, "emphasis": 4, "epochs": 1, "batch": 256, "prediction": 0.0}, files, folder / "model")
    return folder / "model"


@pytest.mark.parametrize("name", INDICES)
def test_index(benchmark, name, model, passages):
    command = [sys.executable, "-m", "benchmarks.ragcun_index", name, str(model), str(passages)]

    def build():
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    found = benchmark.pedantic(build, rounds=1)
    benchmark.extra_info.update(found)
    print(f"{name}: {found}")
    assert found["found"] > 0
    assert found["stored_mib"] > 0
