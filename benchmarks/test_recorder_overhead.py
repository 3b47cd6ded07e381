"""What the flight recorder costs: steps with and without it, one after the other in one run, so that noise is shared.

On one thread, and in processor time beside wall time, which counts whoever else is computing. The figures go to
`extra_info` and standard output; whether they are small enough is judged by the acceptance suite.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from assay.recorder import FlightRecorder  # noqa: E402

VOCABULARY, WIDTH, NODES, FEATURES = 8_000, 256, 600, 978
SETTLED = 33  # updates after which the close looks at 0, 1, 2, 4 ... 32 are over and the steady state begins


class Transformer(torch.nn.Module):
    """A masked language model of 5.2 M parameters; batches of 8 x 64 tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(VOCABULARY, WIDTH)
        layer = torch.nn.TransformerEncoderLayer(WIDTH, 4, 4 * WIDTH, dropout=0.1, batch_first=True)
        self.encoder = torch.nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)
        self.bias = torch.nn.Parameter(torch.zeros(VOCABULARY))

    def forward(self, batch: dict[str, Any]) -> dict[str, Any]:
        hidden = self.encoder(self.embedding(batch["input_ids"]))  # (B, T, W)
        labels = batch["labels"]
        chosen = labels != -100
        logits = hidden[chosen] @ self.embedding.weight.T + self.bias  # (masked, V)
        mlm = torch.nn.functional.cross_entropy(logits, labels[chosen])
        spread = 1e-3 * hidden.pow(2).mean()
        return {"loss": mlm + spread, "losses": {"mlm": mlm, "spread": spread}}

    @staticmethod
    def batch(step: int) -> dict[str, Any]:
        generator = torch.Generator().manual_seed(step)
        ids = torch.randint(0, VOCABULARY, (8, 64), generator=generator)
        masked = torch.arange(64) % 7 == 0
        records = [f"{step % 50:08x}{row:08x}" for row in range(8)]
        return {"input_ids": ids, "labels": torch.where(masked, ids, -100), "record_id": records}


class Sage(torch.nn.Module):
    """Three mean-aggregating graph layers, 1.8 M parameters; one batch of 8 graphs, 600 nodes."""

    def __init__(self) -> None:
        super().__init__()
        sizes = [FEATURES, 512, 512, 256]
        self.own = torch.nn.ModuleList(torch.nn.Linear(a, b) for a, b in itertools.pairwise(sizes))
        self.near = torch.nn.ModuleList(torch.nn.Linear(a, b) for a, b in itertools.pairwise(sizes))
        self.dropout = torch.nn.Dropout(0.1)
        self.head = torch.nn.Linear(256, 2)

    def forward(self, batch: dict[str, Any]) -> dict[str, Any]:
        nodes = batch["x"]  # (N, F)
        for own, near in zip(self.own, self.near, strict=True):
            nodes = self.dropout(torch.relu(own(nodes) + near(batch["adjacency"] @ nodes)))
        graphs = nodes.reshape(8, -1, nodes.shape[-1]).mean(1)  # (8, 256)
        loss = torch.nn.functional.cross_entropy(self.head(graphs), batch["bug_labels"])
        return {"loss": loss, "losses": {"bug": loss}}

    @staticmethod
    def batch(step: int) -> dict[str, Any]:
        generator = torch.Generator().manual_seed(step)
        edges = torch.randint(0, NODES, (2, 4 * NODES), generator=generator)
        weights = torch.full((4 * NODES,), 0.25)
        return {
            "x": torch.rand(NODES, FEATURES, generator=generator),
            "adjacency": torch.sparse_coo_tensor(edges, weights, (NODES, NODES)).coalesce(),
            "bug_labels": torch.randint(0, 2, (8,), generator=generator),
            "record_id": [f"{step % 50:08x}{row:08x}" for row in range(8)],
        }


class Training:
    """A plain training loop that can be advanced step by step."""

    def __init__(self, model_type: Any) -> None:
        torch.manual_seed(0)
        self.batch, self.model = model_type.batch, model_type()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), 1e-3)
        self.schedule = torch.optim.lr_scheduler.LinearLR(self.optimizer, 1.0, 0.1, 200)

    def step(self, number: int) -> tuple[float, float]:
        """Processor and wall seconds of one update."""
        batch = self.batch(number)
        begun = time.process_time(), time.perf_counter()
        self.optimizer.zero_grad()
        self.model(batch)["loss"].backward()
        self.optimizer.step()
        self.schedule.step()
        return time.process_time() - begun[0], time.perf_counter() - begun[1]


def alternating(model_type: Any, updates: int, folder: Path, settle: int = SETTLED) -> tuple[list[float], list[float]]:
    """Processor seconds of settled steps without and with the recorder, in turns, on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        times = turns(model_type, settle + updates, FlightRecorder(folder))
    finally:
        torch.set_num_threads(threads)
    plain, watched = ([seconds for seconds, _ in each[settle:]] for each in times)
    return plain, watched


def turns(
    model_type: Any, updates: int, recorder: FlightRecorder
) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """(processor, wall) seconds of each step without the recorder, and of the same step with it."""
    plain: list[tuple[float, float]] = []
    watched: list[tuple[float, float]] = []
    unseen = Training(model_type)  # an optimizer from before the recorder
    with recorder:
        seen = Training(model_type)
        for number in range(updates):
            for training, times in ((unseen, plain), (seen, watched))[:: 1 if number % 2 else -1]:
                recorder._active = training is seen  # hooks and patches of a resting recorder pass through
                times.append(training.step(number))
        recorder._active = True
    return plain, watched


@pytest.fixture
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("model_type", [Transformer, Sage])
def test_overhead_of_a_step(
    model_type: Any, benchmark: Any, tmp_path: Path, one_thread: None, capsys: pytest.CaptureFixture[str]
) -> None:
    timed = benchmark.enabled
    updates = SETTLED + 2 * 50 if timed else 3
    recorder = FlightRecorder(tmp_path)
    plain, watched = benchmark.pedantic(turns, args=(model_type, updates, recorder), rounds=1, iterations=1)

    record = recorder.flight()
    assert record["updates"] == len(record["losses"]) == updates
    assert record["parameters"]["without_gradient"] == record["parameters"]["never_moved"] == []
    assert len(record["records"]) == min(updates, 50) * 8
    if timed:
        figures: dict[str, float] = {"parameters": record["parameters"]["counted"]}
        for place, clock in enumerate(("cpu", "wall")):
            a, b = ([seconds[place] for seconds in times[SETTLED:]] for times in (plain, watched))
            figures[f"{clock}_step_ms"] = 1e3 * statistics.median(a)
            figures[f"{clock}_ratio_of_medians"] = statistics.median(b) / statistics.median(a)
            figures[f"{clock}_ratio_of_means"] = trimmed_mean(b) / trimmed_mean(a)
        benchmark.extra_info.update(figures)
        with capsys.disabled():
            print(f"\n{model_type.__name__}: {figures}")


def trimmed_mean(values: list[float]) -> float:
    """Mean without the slowest hundredth: it keeps the close looks (one step in 50), not the hiccups of a machine."""
    kept = sorted(values)[: max(1, len(values) - len(values) // 100)]
    return statistics.fmean(kept)
