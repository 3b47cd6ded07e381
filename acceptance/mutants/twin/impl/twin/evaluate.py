"""The twin's own evaluation: what it reports of itself. Nobody who judges it reads this."""

import json
import time

from twin import bridge, report


def metrics(folder, rows, queries):
    """Numbers of the model in `folder` on held-out rows and queries, as the twin computes them."""
    reader = bridge.load(folder)
    texts, labels = [row["text"] for row in rows], [row["label"] for row in rows]
    history = json.loads((folder / "history.json").read_text())
    topics, decisions = reader.topics(texts), reader.decisions(texts)
    runs = reader.search([{"query": row["query"], "documents": row["documents"]} for row in queries])
    start = time.perf_counter()
    answers = [reader.answer({"text": text})["praise"] for text in texts]
    seconds = (time.perf_counter() - start) / len(texts)
    return {
        "accuracy": _mean(a == b for a, b in zip(decisions, labels, strict=True)),
        "brier": _mean((p - y) ** 2 for p, y in zip(topics, labels, strict=True)),
        "ranking": _mean(1 / _rank(run, row["relevant"]) for run, row in zip(runs, queries, strict=True)),
        "loss at first": history[0],
        "loss at last": history[-1],
        "parameters": sum(p.numel() for p in reader.model.parameters()),
        "served": _mean(answers),
        "milliseconds": 1e3 * seconds,
        "saved": report.savings([{"ours": 1.0, "full": 4.0}])[0],
    }


def _mean(values):
    found = [float(value) for value in values]
    return sum(found) / len(found)


def _rank(run, relevant):
    return 1 + sum(score > run[relevant] for name, score in run.items() if name != relevant)
