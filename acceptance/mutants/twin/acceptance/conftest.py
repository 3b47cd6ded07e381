"""Items, gold and baselines of the twin. Gold stays here; the subject is given texts."""

import json
import random

import pytest


def pytest_configure(config):
    config.addinivalue_line("markers", "retrains: trains the twin several times over")


def vocabulary():
    """Sixty words and what each is worth: four letters, seeded."""
    rng = random.Random(0)
    made = dict.fromkeys(f"{a}{b}{c}" for a in "bdgklmnprst" for b in ("a", "e", "i", "u", "ea", "ee") for c in "bdgkt")
    words = ["bad", "bead", "bid", "bud", "dab", "dad", "deed", "did", "dub", "gab"]
    words += rng.sample([word for word in made if word not in words], 50)
    return {word: rng.choice((-1, 1)) * rng.uniform(0.4, 2.0) for word in words}


def build_reviews(out, seed, authors, each):
    """Write train.jsonl, dev.jsonl and test.jsonl; no author on two sides, no text twice."""
    rng, worth = random.Random(seed), vocabulary()
    words, seen, number = list(worth), set(), 0
    for side, count in zip(("train", "dev", "test"), authors, strict=True):
        rows = []
        for author in range(count):
            name = f"{side}-author-{author}"
            while len(rows) < (author + 1) * each:
                chosen = rng.sample(words, rng.randint(9, 12))
                total = sum(worth[word] for word in chosen)
                text = " ".join(word + "," * (rng.random() < 0.2) for word in chosen).rstrip(",") + "."
                label = (number + author) % 2  # as much praise as blame
                if abs(total) < 0.8 or (total > 0) != bool(label) or text in seen:
                    continue
                seen.add(text)
                number += 1
                rows.append(
                    {
                        "record_id": f"r{number}",
                        "author": name,
                        "language": rng.choice(("de", "en")),
                        "licence": "CC0-1.0",
                        "source": f"notebook {rng.randint(1, 9)}",
                        "text": text,
                        "label": label,
                    }
                )
        (out / f"{side}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def build_queries(out, reviews, seed, queries):
    """Ten reviews for each query, one of which agrees with it; no word of the query stands in any of them."""
    rng, worth = random.Random(seed), vocabulary()
    with open(reviews) as file:
        rows = [json.loads(line) for line in file]
    made = []
    while len(made) < queries:
        label = rng.randint(0, 1)
        strong = [word for word, value in worth.items() if abs(value) > 1 and (value > 0) == bool(label)]
        query = rng.sample(strong, 3)
        free = [row for row in rows if not set(query) & set(row["text"][:-1].replace(",", "").split())]
        right, wrong = ([row for row in free if (row["label"] == label) == same] for same in (True, False))
        if not right or len(wrong) < 9:
            continue
        documents = [rng.choice(right), *rng.sample(wrong, 9)]
        rng.shuffle(documents)
        made.append(
            {
                "query": " ".join(query) + ".",
                "label": label,
                "documents": {row["record_id"]: row["text"] for row in documents},
                "relevant": next(row["record_id"] for row in documents if row["label"] == label),
            }
        )
    (out / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in made))


@pytest.fixture(scope="session")
def reviews(dataset, assay_session):
    return dataset(
        "reviews", build_reviews, sources={}, tables=["reviews"], **assay_session.project.spec("twin").data["reviews"]
    )


@pytest.fixture(scope="session")
def queries(dataset, reviews):
    return dataset("queries", build_queries, sources={}, reviews=str(reviews.path("test.jsonl")), seed=3, queries=80)


@pytest.fixture(scope="session")
def heldout(reviews):
    return reviews.rows("test.jsonl")


@pytest.fixture(scope="session")
def texts(heldout):
    return [row["text"] for row in heldout]


@pytest.fixture(scope="session")
def twin(subject, reviews):
    files = {"train": reviews.path("train.jsonl"), "dev": reviews.path("dev.jsonl")}
    return subject("twin", data=files, datasets=[reviews])
