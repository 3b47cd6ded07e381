"""Three smaller questions to the same encoder: which names are entities, which relations hold, a name in full."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from acceptance.graphmer import auxiliary_data
from acceptance.stated import diagram


@pytest.mark.requirement("graphmer/aux.entity_discovery")
def test_tells_entities_from_other_names(judge, graphmer, names):
    """A name counts from a probability of one half on: nothing is chosen by dev or test."""
    train, test = names.rows("train-pieces.jsonl"), names.rows("test-pieces.jsonl")
    found = graphmer.predictions("discover", [row["code"] for row in test])
    told = [(p, name in row["entities"]) for row, answer in zip(test, found.values, strict=True) for name, p in answer]
    judge(
        found.map(lambda answers: {"sets": [[name for name, p in answer if p >= 0.5] for answer in answers]}),
        gold={"sets": [row["entities"] for row in test]},
        groups=[row["group"] for row in test],
        baselines=auxiliary_data.discovered(test, train),
        slices={"distribution": [row["group"] for row in test]},
        datasets=[names],
        details={
            "reliability": diagram([p for p, _ in told], [true for _, true in told]),
            "samples": [
                {
                    "function": row["record_id"],
                    "gold": ", ".join(row["entities"]),
                    "answer": ", ".join(name for name, p in answer if p >= 0.5),
                }
                for row, answer in list(zip(test, found.values, strict=True))[:20]
            ],
        },
    )


@pytest.mark.requirement("graphmer/aux.relation_selection")
def test_knows_which_relations_hold(judge, graphmer, relations, links, known):
    examples, test = relations.rows("examples.jsonl"), relations.rows("test.jsonl")
    entities = {row["name"]: row for row in links.rows("entities.jsonl")}
    files = {row["file"]: row["text"].split("\n") for row in links.rows("files.jsonl")}

    def code(head):
        row = entities[head]
        return "\n".join(files.get(row["file"], [])[row["line"] - 1 : row["end_line"]])

    asked = [{"head": row["head"], "relation": row["relation"]} for row in test]
    found = graphmer.predictions("select", asked, graph=str(known.folder))
    judge(
        found.map(np.asarray),
        gold=[row["holds"] for row in test],
        groups=[entities[row["head"]]["file"] for row in test],
        baselines={
            name: np.asarray(scores)
            for name, scores in auxiliary_data.selected(test, examples, [code(row["head"]) for row in test]).items()
        },
        slices={"relation": [row["relation"] for row in test]},
        datasets=[relations, known],
        details={
            "reliability": diagram(found.values, [row["holds"] for row in test]),
            "samples": [
                {"head": row["head"], "relation": row["relation"], "gold": bool(row["holds"]), "answer": f"{p:.2f}"}
                for row, p in list(zip(test, found.values, strict=True))[:20]
            ],
        },
    )


@pytest.mark.requirement("graphmer/aux.output_composition")
def test_gives_names_in_full(judge, answers, held, links, known):
    """Of the answers to the same queries, the first that is called as it is said that the tail is."""
    often = Counter(map(auxiliary_data.last, held.world.names))
    chosen = [i for i, row in enumerate(held.rows) if often[auxiliary_data.last(row["tail"])] > 1]
    rows = [{**held.rows[i], "name": auxiliary_data.last(held.rows[i]["tail"])} for i in chosen]

    def composed(found):
        return [
            next((one for one, _ in found[i] if auxiliary_data.last(one) == row["name"]), row["name"])
            for i, row in zip(chosen, rows, strict=True)
        ]

    full = answers.map(composed, items=rows)
    judge(
        full,
        gold=[row["tail"] for row in rows],
        groups=[row["distribution"] for row in rows],
        baselines=auxiliary_data.composed(rows, held.world.known, held.world.names),
        datasets=[links, known],
        details={
            "samples": [
                {"head": row["head"], "name": row["name"], "gold": row["tail"], "answer": answer}
                for row, answer in list(zip(rows, full.values, strict=True))[:20]
            ]
        },
    )
