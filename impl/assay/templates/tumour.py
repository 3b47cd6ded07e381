"""The subject: a scikit-learn model that knows nothing of Assay. It runs in a process of its own."""

import json

import numpy as np
from safetensors.numpy import load_file, save_file


def train(config, data, out):
    """Fit on data["train"] and leave weights in `out`; after a kill, again."""
    from sklearn.linear_model import LogisticRegression

    rows = json.loads(data["train"].read_text())
    x, y = np.array(rows["features"]), np.array(rows["labels"])
    mean, std = x.mean(axis=0), x.std(axis=0)
    model = LogisticRegression(C=config["regularisation"], random_state=config["seed"], max_iter=1000)
    model.fit((x - mean) / std, y)
    weights = {"coef": model.coef_, "intercept": model.intercept_, "mean": mean, "std": std}
    save_file({name: np.ascontiguousarray(value) for name, value in weights.items()}, out / "model.safetensors")


def load(artifact):
    """What the acceptance tests ask: here an object with `probabilities` and `answer`."""
    return Model(load_file(artifact / "model.safetensors"))


class Model:
    def __init__(self, weights):
        self.weights = weights

    def probabilities(self, items):
        """(N, 30) features -> (N,) probability of malignant."""
        w = self.weights
        logits = (np.array(items) - w["mean"]) / w["std"] @ w["coef"][0] + w["intercept"][0]
        return 1 / (1 + np.exp(-logits))

    def decisions(self, items):
        """(N, 30) features -> (N,) 0 benign or 1 malignant."""
        return (self.probabilities(items) >= 0.5).astype(int)

    def answer(self, item):
        """One patient, as a service would be asked."""
        return float(self.probabilities([item])[0])
