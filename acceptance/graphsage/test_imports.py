"""Does it name the modules that a function uses, when import statements and bound names are hidden?"""

from __future__ import annotations

import json

import numpy as np
import pytest


@pytest.fixture(scope="session")
def sides(import_data):
    """Held-out and dev items with gold over one universe of modules, those that training never saw included."""
    vocabulary = json.loads(import_data.path("vocabulary.json").read_text())
    rows = {side: import_data.rows(f"{side}.jsonl") for side in ("test", "dev")}
    seen = {module for items in rows.values() for row in items for module in row["uses"]}
    universe = [*vocabulary, *sorted(seen - set(vocabulary))]
    return {side: Side(items, universe, len(vocabulary)) for side, items in rows.items()}


class Side:
    """Items of one side: sources, gold and the popularity baseline, all (N, K) over the same K modules."""

    def __init__(self, rows, universe, known) -> None:
        self.rows, self.universe, self.known = rows, universe, known
        self.masked, self.sources = ([row[kind] for row in rows] for kind in ("masked", "source"))
        column = {name: index for index, name in enumerate(universe)}
        self.gold = np.zeros((len(rows), len(universe)), dtype=int)
        for index, row in enumerate(rows):
            self.gold[index, [column[name] for name in row["uses"]]] = 1
        self.popularity = np.tile(np.linspace(1.0, 0.0, len(universe)), (len(rows), 1))
        self.truth = {
            "gold": self.gold,
            "groups": [row["distribution"] for row in rows],
            "clusters": [row["module"] for row in rows],
        }

    def align(self, answer) -> np.ndarray:
        """{"modules", "scores"} of the subject -> (N, K) over the universe; a module it does not know scores 0."""
        column = {name: index for index, name in enumerate(self.universe)}
        known = [i for i, name in enumerate(answer["modules"]) if name in column]
        scores = np.asarray(answer["scores"], dtype=float)
        aligned = np.zeros((len(scores), len(self.universe)))
        aligned[:, [column[answer["modules"][i]] for i in known]] = scores[:, known]
        return aligned

    def padded(self, scores) -> np.ndarray:
        """Scores over the vocabulary -> scores over the universe."""
        return np.pad(scores, ((0, 0), (0, len(self.universe) - self.known)))


@pytest.fixture(scope="session")
def cheap(made):
    """Scores of the baselines over the vocabulary."""
    return made.import_baselines()


@pytest.mark.requirement("graphsage/imports.recall5")
def test_names_used_modules_among_five(judge, ask, sides, cheap, import_data):
    test = sides["test"]
    predictions = ask("import_scores", test.masked).map(test.align)
    judge(
        predictions,
        **test.truth,
        baselines={"popularity": test.popularity, "attribute-bayes": test.padded(cheap["bayes-test"])},
        datasets=[import_data],
        details={"samples": samples(test, predictions.values)},
    )


@pytest.mark.requirement("graphsage/imports.f1")
def test_names_used_modules_as_a_set(judge, ask, sides, cheap, import_data):
    """Subject and baselines each cut at the score that was best on dev distributions."""
    dev, test = sides["dev"], sides["test"]
    judge(
        cut(ask("import_scores", test.masked), ask("import_scores", dev.masked), sides),
        **test.truth,
        baselines={
            "popularity": chosen(test.popularity, best_cut(dev.popularity, dev.gold)),
            "attribute-bayes": looked_up("bayes", cheap, sides),
        },
        datasets=[import_data],
    )


@pytest.mark.requirement("graphsage/imports.in_sight")
def test_names_used_modules_with_their_names_in_sight(judge, ask, sides, cheap, import_data):
    """As people ask: nothing is masked, so that the name of a module mostly tells it."""
    dev, test = sides["dev"], sides["test"]
    judge(
        cut(ask("import_scores", test.sources), ask("import_scores", dev.sources), sides),
        **test.truth,
        baselines={"identifier-lookup": looked_up("lookup", cheap, sides)},
        datasets=[import_data],
    )


def cut(answers, on_dev, sides):
    """What the subject names: scores at or above the cut that is best on dev, the control's at its own."""
    dev, test = sides["dev"], sides["test"]
    return answers.map(
        lambda asked, tried: chosen(test.align(asked), best_cut(dev.align(tried), dev.gold)), beside=on_dev
    )


def looked_up(name, cheap, sides) -> np.ndarray:
    """What a baseline names, cut where dev is best."""
    dev, test = (sides[side].padded(cheap[f"{name}-{side}"]) for side in ("dev", "test"))
    return chosen(test, best_cut(dev, sides["dev"].gold))


def chosen(scores, cut) -> np.ndarray:
    """(N, K) scores -> (N, K) 0/1: those at or above the cut."""
    return (scores >= cut).astype(int)


def best_cut(scores, gold) -> float:
    """The cut with the best micro-F1 on these items."""
    order = np.argsort(-scores, axis=None, kind="stable")
    hits = np.cumsum(gold.ravel()[order])
    ranked = scores.ravel()[order]
    f1 = 2 * hits / (np.arange(1, len(order) + 1) + gold.sum())
    last_of_ties = np.append(ranked[1:] < ranked[:-1], True)
    return float(ranked[np.argmax(np.where(last_of_ties, f1, 0))])


def samples(side, scores) -> list[dict[str, object]]:
    """Twenty functions with gold and the five best guesses, for a person to read."""
    return [
        {
            "masked": row["masked"],
            "gold": ", ".join(row["uses"]),
            "five best": ", ".join(side.universe[i] for i in np.argsort(-scores[index])[:5]),
        }
        for index, row in list(enumerate(side.rows))[:20]
    ]
