"""Is there one tokenizer of the size that was promised, used to the full, and losing nothing?"""

from __future__ import annotations

import pytest

from acceptance import sides
from corpus import tokenizer


@pytest.fixture(scope="session")
def functions(dataset, tables):
    """Functions on three sides; the tokenizer learns from the first."""
    named = {name: names for name, names in tables("tokenizer").items() if name != "vocabulary"}
    return sides.functions(dataset, lambda _: named)


@pytest.fixture(scope="session")
def learner(subject, functions):
    return subject("corpus", datasets=[functions])


@pytest.fixture(scope="session")
def trained(functions, tables):
    """The arguments that name the tokenizer."""
    return {"train": str(functions.path("train.jsonl")), "vocabulary": tables("tokenizer")["vocabulary"]}


@pytest.mark.requirement("corpus/tokenizer.vocab")
def test_the_vocabulary_has_the_promised_size(judge, learner, trained):
    answers = learner.outputs("corpus.tokenizer:entries", ["vocabulary"], **trained)
    judge(answers.map(lambda found: found[0], items=answers.values[0]))


@pytest.mark.requirement("corpus/tokenizer.seen")
def test_training_uses_nearly_every_entry(judge, learner, trained, functions):
    texts = list(tokenizer.texts_of(sides.records(functions.path("train.jsonl"))))
    answers = learner.outputs("corpus.tokenizer:encoded", texts, **trained)
    numbers = list(range(trained["vocabulary"]))

    def used(found):
        seen = {number for ids in found for number in ids}
        return {"case": [f"id {number}" for number in numbers], "holds": [number in seen for number in numbers]}

    judge(answers.map(used, items=numbers), details={"training texts": len(texts)})


@pytest.mark.requirement("corpus/tokenizer.roundtrip")
def test_unseen_sources_come_back(judge, learner, trained, functions):
    rows = sides.records(functions.path("test.jsonl"))
    ids = learner.outputs("corpus.tokenizer:encoded", [row.source for row in rows], **trained)
    answers = learner.outputs("corpus.tokenizer:decoded", ids.values, **trained)

    def same(found):
        holds = [text == row.source for text, row in zip(found, rows, strict=True)]
        return {"case": [f"{row.module}.{row.qualname}" for row in rows], "holds": holds}

    judge(answers.map(same, items=rows), slices={"distribution": [row.distribution for row in rows]})
