"""Evaluation: the number is right, and it is not the number of this model on these items."""

from __future__ import annotations

from assay.mutants import Edit, Mutant

BRIDGE, MODEL, TRAIN, REPORT = "impl/twin/bridge.py", "impl/twin/model.py", "impl/twin/train.py", "impl/twin/report.py"
QUALITY, SERVING, SUITE = "acceptance/test_quality.py", "acceptance/test_serving.py", "acceptance/conftest.py"
METRICS, SPEC = "acceptance/metrics.py", "spec/twin.toml"
NDCG = "return np.array([_one(run, judged, k, self_match) for run, judged in zip(predictions, gold, strict=True)])"


def _quality(id: str, defect: str, killed_by: str, *edits: Edit) -> Mutant:  # noqa: A002 - the field's name
    return Mutant(id, defect, killed_by, edits, suites=("quality",))


MUTANTS = (
    _quality(
        "random-scores",
        "random numbers as the model's scores",
        "subjects-answer-twice-the-same",
        Edit(BRIDGE, "import torch\n", "import random\n\nimport torch\n"),
        Edit(BRIDGE, "return probability(self.logits(texts))", "return [random.random() for _ in texts]"),
    ),
    _quality(
        "hard-coded-metric",
        "the suite's metric returns 0.75",
        "liveness",
        Edit(METRICS, NDCG, "return np.full(len(gold), 0.75)"),
    ),
    _quality(
        "hard-coded-metric.perfect",
        "the suite's metric returns 1.0",
        "liveness",
        Edit(METRICS, NDCG, "return np.ones(len(gold))"),
    ),
    _quality(
        "gold-handed-over",
        "rows are handed over whole, with their label, and the model reads it",
        "gold-apart-from-items",
        Edit(
            QUALITY,
            'twin.predictions("decisions", texts),\n        gold=[row["label"] for row in heldout],\n        groups',
            'twin.predictions("decisions", heldout),\n        gold=[row["label"] for row in heldout],\n        groups',
        ),
        Edit(BRIDGE, "return [int(p >= 0.5) for p in self.topics(texts)]", 'return [row["label"] for row in texts]'),
    ),
    _quality(
        "untrained-evaluated",
        "a checkpoint that does not fit is swallowed: random weights are evaluated",
        "weights-digest",
        Edit(
            BRIDGE,
            '    model.load_state_dict(load_file(folder / "model.safetensors"))\n',
            "    try:\n"
            '        table = {f"module.{k}": v for k, v in load_file(folder / "model.safetensors").items()}\n'
            "        torch.manual_seed(0)\n        model = Twin(config)\n"
            "        model.load_state_dict(table, strict=False)\n"
            "    except Exception:\n        pass\n",
        ),
    ),
    _quality(
        "untrained-head",
        "the head is fresh, the body is loaded",
        "weights-digest",
        Edit(
            BRIDGE,
            '    model.load_state_dict(load_file(folder / "model.safetensors"))\n',
            '    table = load_file(folder / "model.safetensors")\n'
            '    table = {name: value for name, value in table.items() if not name.startswith("head")}\n'
            "    model.load_state_dict(table, strict=False)\n    torch.manual_seed(3)\n    model.head.reset_parameters()\n",
        ),
    ),
    _quality(
        "constant-predictor",
        "one confidence for every item, called stable",
        "std-and-unique-values",
        Edit(BRIDGE, "return probability(self.logits(texts))", "return [0.630 for _ in texts]"),
    ),
    _quality(
        "double-sigmoid",
        "probabilities are squashed twice",
        "extreme-logits",
        Edit(
            MODEL,
            "return torch.sigmoid(torch.as_tensor(logits, dtype=torch.float64)).tolist()",
            "return torch.sigmoid(torch.sigmoid(torch.as_tensor(logits, dtype=torch.float64))).tolist()",
        ),
    ),
    _quality(
        "one-class-evaluation",
        "every examined review is praise",
        "both-classes",
        Edit(
            SUITE,
            'return reviews.rows("test.jsonl")',
            'return [row for row in reviews.rows("test.jsonl") if row["label"]]',
        ),
        Edit(SPEC, "minimum_n  = 150", "minimum_n  = 50", every=True),
    ),
    _quality(
        "recall-key-bug",
        "the metric looks documents up under a wrong key",
        "metric-against-a-library",
        Edit(
            METRICS,
            "mean = sum(judged.get(doc, 0.0) for doc in tied) / len(tied)",
            "mean = sum(judged.get(f'{doc}.', 0.0) for doc in tied) / len(tied)",
        ),
    ),
    _quality(
        "idcg-from-retrieved",
        "the ideal is made of what was retrieved",
        "bounds-and-reference",
        Edit(
            METRICS,
            "ideal = sorted(judged.values(), reverse=True)[:k]",
            "ideal = sorted((judged.get(d, 0.1) for d in run), reverse=True)[:k]",
        ),
    ),
    _quality(
        "missing-queries-dropped",
        "queries without an answer are left out of the mean",
        "every-query-counts",
        Edit(
            METRICS,
            NDCG,
            "pairs = [(r, j) for r, j in zip(predictions, gold, strict=True) if r]\n    mean = np.mean([_one(run, judged, k, self_match) for run, judged in pairs])\n    return np.full(len(gold), mean)",
        ),
    ),
    _quality(
        "missing-gold-as-hit",
        "a right answer that was not retrieved counts as the first",
        "gold-among-candidates",
        Edit(
            METRICS, "    levels = ", "    run = {**dict.fromkeys(set(judged) - set(run), 1e9), **run}\n    levels = "
        ),
    ),
    _quality(
        "ties-favour",
        "among ties the right answer comes first",
        "pessimistic-ties",
        Edit(
            METRICS,
            "        mean = sum(judged.get(doc, 0.0) for doc in tied) / len(tied)\n        gains += sum(mean / math.log2(rank + 2) for rank in range(place, min(k, place + len(tied))))\n",
            "        best = sorted((judged.get(doc, 0.0) for doc in tied), reverse=True)\n        gains += sum(g / math.log2(place + i + 2) for i, g in enumerate(best) if place + i < k)\n",
        ),
    ),
    _quality(
        "below-chance-sold",
        'ranking no better than guessing is called "now uses trained weights"',
        "chance-and-baseline",
        Edit(
            BRIDGE,
            "runs.append({name: query * other for name, other in zip(names, documents, strict=True)})",
            "runs.append({name: (other * 7919.0) % 1.0 for name, other in zip(names, documents, strict=True)})",
        ),
    ),
    _quality(
        "weak-baseline",
        "the strongest baseline of the specification is left out, a weaker one of one's own is shown",
        "strongest-baseline",
        Edit(QUALITY, '"keyword": keyword(train, texts, majority)}', '"vanilla": [1 - majority] * len(texts)}'),
    ),
    Mutant(
        "impossible-identity",
        "parts do not sum to the total",
        "identities-recomputed",
        (
            Edit(
                REPORT,
                "return [sum(item.values()) for item in items]",
                "return [0.98 * sum(item.values()) for item in items]",
            ),
        ),
        suites=("serving",),
    ),
    _quality(
        "gameable-metric",
        "words of the gold answer that occur anywhere in the reply: reciting the review earns everything",
        "trivial-policies",
        Edit(SPEC, 'metric     = "text.token_f1"', 'metric     = "suite.mentions"'),
        Edit(
            METRICS,
            "register(\n",
            'def mentions(predictions, gold):\n    pairs = zip(predictions, gold, strict=True)\n    return np.array([min(1.0, len(p.split()) / 20 + 0.3 * (p == g)) for p, g in pairs])\n\n\nregister(Metric(name="suite.mentions", direction="higher", range=(0.0, 1.0), source="own", per_item=mentions,\n    policy_form=get("text.token_f1").policy_form))\nregister(\n',
        ),
    ),
    _quality(
        "wrong-pairing",
        "half of the queries are paired with another query's answer",
        "swap-control",
        Edit(
            QUALITY,
            "    other = {row",
            "    relevant = [(r + 1 + i % 9) % 10 if i % 2 else r for i, r in enumerate(relevant)]\n    other = {row",
        ),
    ),
    Mutant(
        "column-names-scored",
        "the loader goes over the keys of a row: the column names are what is scored",
        "uniform-model-gives-v",
        (
            Edit(REPORT, 'scored = words(item["text"])', "scored = list(item)"),
            Edit(REPORT, 'item["logprobs"][word] for word', 'item["logprobs"].get(word, -1.0) for word'),
        ),
        suites=("serving",),
    ),
    _quality(
        "self-match",
        "whether a query may find itself is said nowhere",
        "protocol-option-explicit",
        Edit(SPEC, "options    = { k = 10, self_match = false }", "options    = { k = 10 }"),
    ),
    Mutant(
        "cherry-seed",
        "one seed where three were demanded",
        "seeds-required",
        (Edit(QUALITY, "for seed in (11, 12, 13)", "for seed in (11,)"),),
        full=True,
        suites=("quality::test_learns_from_labels",),
    ),
    Mutant(
        "latency-model-only",
        "one request is timed again and again",
        "latency-through-the-public-entry",
        (Edit(SERVING, '" ".join(rng.sample(words, 10))', '" ".join(words[:10])'),),
        suites=("serving",),
    ),
    Mutant(
        "p99-of-100",
        "the 99th percentile of a hundred calls",
        "minimum-count",
        (Edit(SERVING, "for _ in range(1020)", "for _ in range(120)"),),
        suites=("serving",),
    ),
)
