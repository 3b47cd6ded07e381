"""Data and tokenizer: what was trained and examined on is not what was said."""

from __future__ import annotations

from pathlib import Path

from assay.mutants import Edit, Mutant

TRAIN, TOKENIZER, DATA = "impl/twin/train.py", "impl/twin/tokenizer.py", "impl/twin/data.py"
FEATURES, GRAPH, SUITE = "impl/twin/features.py", "impl/twin/graph.py", "acceptance/conftest.py"


def _change_built_data(root: Path) -> None:
    """Append a row to the test split where it lies in the store."""
    from assay.project import Project

    for path in (Project(root).store.root / "data").glob("*/test.jsonl"):
        path.write_text(path.read_text() + path.read_text().splitlines()[0].replace('"r', '"x') + "\n")


MUTANTS = (
    Mutant(
        "vocabulary-rebuilt",
        "the data set makes its own vocabulary of the first texts, beside the tokenizer that was built",
        "embedding-rows",
        (
            Edit(
                TRAIN,
                'self.tokenizer = tokenizer.Tokenizer(tokenizer.build(data.texts(rows), config["vocabulary"]))',
                'self.tokenizer = tokenizer.Tokenizer(tokenizer.build(data.texts(rows)[:1], config["vocabulary"]))',
            ),
        ),
        suites=("training",),
    ),
    Mutant(
        "vocabulary-rebuilt.ids",
        "training encodes with a vocabulary in another order than the tokenizer that is saved",
        "ids-decode",
        (
            Edit(
                TRAIN,
                '        self.tokenizer.save(self.out / "tokenizer.json")',
                "        own = self.tokenizer.entries\n"
                '        tokenizer.Tokenizer([*own[:3], *sorted(own[3:])]).save(self.out / "tokenizer.json")',
            ),
        ),
        suites=("training",),
    ),
    Mutant(
        "records-unused",
        "a cap left in from debugging: half of the records never reach a batch",
        "ledger-of-records",
        (
            Edit(
                TRAIN,
                'rows, dev = data.records(files["train"]), data.records(files["dev"])',
                'rows, dev = data.records(files["train"])[:300], data.records(files["dev"])',
            ),
        ),
        suites=("training",),
    ),
    Mutant(
        "units-mixed",
        "half-reviews are counted where reviews were promised",
        "recorder-counts-units",
        (
            Edit(
                TRAIN,
                '"record_id": [row["record_id"] for row in rows]',
                '"record_id": [f"{row[\'record_id\']}-{self.update % 2}" for row in rows]',
            ),
        ),
        suites=("training",),
    ),
    Mutant(
        "empty-input-key",
        "the loader reads a key that the file does not have: every example is empty",
        "contract-on-the-batch",
        (
            Edit(TRAIN, 'self.tokenizer.encode(row["text"], self.length())', 'self.encode(row.get("code", ""))'),
            Edit(
                TRAIN,
                "    def length(self):",
                "    def encode(self, text):\n"
                "        return self.tokenizer.encode(text, self.length()) if text else [0] * self.length()\n\n"
                "    def length(self):",
            ),
        ),
        suites=("training",),
    ),
    Mutant(
        "constant-input",
        "every record is paired with the text of the first",
        "unique-input-ratio",
        (
            Edit(
                TRAIN,
                'self.tokenizer.encode(row["text"], self.length()) for row in rows',
                'self.tokenizer.encode(self.rows[0]["text"], self.length()) for row in rows',
            ),
        ),
        suites=("training",),
    ),
    Mutant(
        "unparseable-eval",
        "what cannot be parsed becomes the zero vector, and the parser wants another full stop",
        "parse-rate",
        (
            Edit(
                FEATURES,
                "    found = words(text)\n    return [\n",
                '    try:\n        found = words(text if text.endswith("!") else text[:-1])\n    except ValueError:\n        return [0.0] * len(COLUMNS)\n    return [\n',
            ),
        ),
        suites=("data",),
    ),
    Mutant(
        "dead-features",
        "vowels are counted in a text without them: four columns of ten can never be non-zero",
        "non-constant-columns",
        (
            Edit(
                FEATURES, 'float(text.count(vowel)) for vowel in "aeiu"', 'float(text.count(vowel)) for vowel in "AEIU"'
            ),
        ),
        suites=("data",),
    ),
    Mutant(
        "feature-not-a-function",
        "random features",
        "same-source-same-vector",
        (
            Edit(FEATURES, "import re\n", "import random\nimport re\n"),
            Edit(FEATURES, "float(len(set(found)))", "random.random()"),
        ),
        suites=("data",),
    ),
    Mutant(
        "features-blind",
        "features see the first words only: changed reviews look like their originals",
        "share-told-apart",
        (Edit(FEATURES, "    found = words(text)\n", '    found = words(text)[:4]\n    text = " ".join(found)\n'),),
        suites=("data",),
    ),
    Mutant(
        "random-labels",
        "labels are drawn, not read",
        "re-reading-labels",
        (
            Edit(DATA, "import json\n", "import json\nimport random\n"),
            Edit(DATA, 'return [int(row["label"]) for row in rows]', "return [random.randint(0, 1) for row in rows]"),
        ),
        suites=("data",),
    ),
    Mutant(
        "random-labels.control",
        "the model looks the labels of the items up: labels in training make no difference",
        "permuted-labels-hurt",
        (
            Edit(
                TRAIN,
                "            self.labels = [self.labels[i] for i in order]",
                "            self.labels = list(self.labels)",
            ),
        ),
        full=True,
        suites=("quality::test_learns_from_labels",),
    ),
    Mutant(
        "same-text-across-splits",
        "a fifth of the test reviews stand in training, word for word, under other ids",
        "exact-and-near-duplicates",
        (
            Edit(
                SUITE,
                '        (out / f"{side}.jsonl")',
                '        if side == "train":\n            kept = rows\n'
                '        if side == "test":\n'
                "            for old, new in zip(kept, rows[::5]):\n"
                '                new |= {"text": old["text"].replace(",", ""), "label": old["label"]}\n'
                '        (out / f"{side}.jsonl")',
            ),
        ),
        suites=("quality::test_tells_praise_from_blame",),
    ),
    Mutant(
        "test-is-train",
        "one path for training and validation",
        "disjointness",
        (
            Edit(SUITE, '"dev": reviews.path("dev.jsonl")', '"dev": reviews.path("train.jsonl")'),
            Edit("impl/twin/train.py", 'data.records(files["dev"])', 'data.records(files["train"])[:50]'),
        ),
        suites=("training",),
    ),
    Mutant(
        "test-is-train.items",
        "the examined reviews are those of training",
        "disjointness",
        (Edit(SUITE, 'return reviews.rows("test.jsonl")', 'return reviews.rows("train.jsonl")[:300]'),),
        suites=("quality::test_tells_praise_from_blame",),
    ),
    Mutant(
        "row-split",
        "split by row: every author is on both sides",
        "group-leakage",
        (Edit(SUITE, 'name = f"{side}-author-{author}"', 'name = f"author-{author % 14}"'),),
        suites=("quality::test_tells_praise_from_blame",),
    ),
    Mutant(
        "lexical-giveaway",
        "queries are the first words of what they are to find",
        "overlap-detector",
        (
            Edit(
                SUITE,
                'free = [row for row in rows if not set(query) & set(row["text"][:-1].replace(",", "").split())]',
                "free = rows",
            ),
            Edit(
                SUITE,
                "        documents = [rng.choice(right), *rng.sample(wrong, 9)]\n",
                "        documents = [rng.choice(right), *rng.sample(wrong, 9)]\n"
                '        query = documents[0]["text"].replace(",", "").rstrip(".").split()[:3]\n',
            ),
        ),
        suites=("quality::test_finds_the_review_that_agrees",),
    ),
    Mutant(
        "degenerate-benchmark",
        "a benchmark of one query with two candidates",
        "threshold-trivial-or-unreachable",
        (
            Edit(SUITE, "seed=3, queries=80", "seed=3, queries=1"),
            Edit(SUITE, "*rng.sample(wrong, 9)]", "*rng.sample(wrong, 1)]"),
            Edit("acceptance/test_quality.py", '"candidates": [10] * len(asked)', '"candidates": [2] * len(asked)'),
            Edit("acceptance/test_quality.py", 'other[1 - row["label"]]', 'other.get(1 - row["label"], row["query"])'),
        ),
        suites=("quality::test_finds_the_review_that_agrees",),
    ),
    Mutant(
        "unreachable-threshold",
        "most true keywords have no column: the best possible F1 lies below the bar",
        "threshold-trivial-or-unreachable",
        (Edit("acceptance/test_data.py", '"outside": [0] * len(texts)', '"outside": [3] * len(texts)'),),
        suites=("data",),
    ),
    Mutant(
        "circular-validation",
        "types are assigned from the relation that is being validated",
        "validator-blind",
        (
            Edit(
                GRAPH,
                '        types = item["definitions"]\n',
                "        types = dict(zip((head, tail), RELATIONS[relation], strict=True))\n",
            ),
        ),
        suites=("data",),
    ),
    Mutant(
        "unresolved-entities",
        "names are written otherwise in triples than in the lexicon: none resolves",
        "resolution-rate",
        (Edit(GRAPH, "word.lower() for word", "word.upper() for word"),),
        suites=("data",),
    ),
    Mutant(
        "duplicates",
        "a seventh of the rows stand twice in the headline count",
        "uniqueness-contract",
        (Edit(SUITE, '        (out / f"{side}.jsonl")', '        rows += rows[::7]\n        (out / f"{side}.jsonl")'),),
        suites=("data",),
    ),
    Mutant(
        "language-absent",
        "two languages are claimed, the files hold one",
        "counts-per-language",
        (Edit(SUITE, 'rng.choice(("de", "en"))', 'rng.choice(("en", "en"))'),),
        suites=("data",),
    ),
    Mutant(
        "unhashed-manifest",
        "the data changed after it was built; its manifest names it and does not hash it",
        "digest-of-the-data",
        then=(_change_built_data,),
        again=True,
        suites=("data",),
    ),
    Mutant(
        "licence/provenance-missing",
        "no record says its licence",
        "contract-on-provenance",
        (Edit(SUITE, '"licence": "CC0-1.0"', '"licence": None'),),
        suites=("data",),
    ),
    Mutant(
        "split-fabricated",
        "the document states counts that the files do not have",
        "documents-from-the-manifest",
        (
            Edit(
                "impl/twin/report.py",
                '    lines += [f"- {row',
                '    lines += ["- split: 29,174 training and 3,647 test reviews"]\n    lines += [f"- {row',
            ),
        ),
        suites=("serving",),
    ),
)
