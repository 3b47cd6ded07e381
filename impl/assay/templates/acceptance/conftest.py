"""Items and gold. Gold stays here, in the judge's process; the subject is given features only."""

import json
from pathlib import Path

import pytest
from sklearn import datasets


def build_patients(out, seed):
    """Write train.json, which the subject gets, and test.json, which it never sees."""
    import numpy as np

    x, y = datasets.load_breast_cancer(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(x))
    for name, part in (("train", order[:300]), ("test", order[300:])):
        rows = {"features": x[part].tolist(), "labels": (1 - y[part]).tolist()}  # 1 = malignant
        (out / f"{name}.json").write_text(json.dumps(rows))


@pytest.fixture(scope="session")
def patients(dataset):
    source = Path(datasets.__file__).parent / "data" / "breast_cancer.csv"
    return dataset("patients", build_patients, sources={source.name: source}, seed=0)


@pytest.fixture(scope="session")
def heldout(patients):
    return json.loads(patients.path("test.json").read_text())


@pytest.fixture(scope="session")
def tumour(subject, patients):
    return subject("tumour", data={"train": patients.path("train.json")}, datasets=[patients])
