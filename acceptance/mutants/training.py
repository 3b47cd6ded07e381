"""Training: what was optimised is not what was said, or nothing was."""

from __future__ import annotations

from assay.mutants import Edit, Mutant

TRAIN, MODEL, BRIDGE, OBJECTIVES = (
    "impl/twin/train.py",
    "impl/twin/model.py",
    "impl/twin/bridge.py",
    "impl/twin/objectives.py",
)
SPEC, REPORT, SUITE = "spec/twin.toml", "impl/twin/report.py", "acceptance/conftest.py"
ONLY = ("training",)
STEP = "        self.optimizer.step()\n        self.scheduler.step()\n"


def _training(id: str, defect: str, killed_by: str, *edits: Edit, test: str = "") -> Mutant:  # noqa: A002
    """Killed by the training suite; by one of its tests that train several times over, where `test` names it."""
    return Mutant(id, defect, killed_by, edits, full=bool(test), suites=(f"training::{test}",) if test else ONLY)


MUTANTS = (
    _training(
        "smaller-model",
        "half the declared width is trained: the dimension is hard-coded",
        "counted-parameters",
        Edit(MODEL, 'width = config["width"]', 'width = config["width"] and 8'),
    ),
    _training(
        "units-copied",
        "a quarter of the hidden units is trained, each stands in the matrix four times",
        "distinct-units",
        Edit(
            TRAIN,
            STEP,
            STEP + "        with torch.no_grad():\n            unit = self.model.hidden.weight\n"
            "            unit.copy_(unit.view(4, -1, unit.shape[1]).mean(0).repeat(4, 1))\n",
        ),
    ),
    _training(
        "config-unread",
        "the mask share of the profile is read by nobody",
        "access-tracking-config",
        Edit(TRAIN, 'self.config["mask_share"]', "0.15"),
    ),
    _training(
        "flag-without-effect",
        "the head's own learning rate is read and not used",
        "flip-the-flag",
        Edit(TRAIN, '"lr": config["head_rate"]', '"lr": config["learning_rate"] if config["head_rate"] else 0.0'),
        test="test_switches_act",
    ),
    _training(
        "amp-unused",
        "a gradient scaler is made and never used; no autocast",
        "dtype-in-matmuls",
        Edit(TRAIN, 'enabled=self.config["precision"] == "bf16"', 'enabled=self.config["precision"] == "half"'),
    ),
    _training(
        "scheduler-never-stepped",
        "the scheduler is made and never stepped",
        "learning-rates-seen",
        Edit(TRAIN, "        self.scheduler.step()\n", ""),
        Edit(TRAIN, "return update / self.warmup", "return 1.0"),
    ),
    _training(
        "scheduler-wrong-unit",
        "the scheduler is stepped once an epoch, its horizon is in updates",
        "learning-rates-seen",
        Edit(TRAIN, "        self.scheduler.step()\n", ""),
        Edit(
            TRAIN, "            self.epoch += 1\n", "            self.epoch += 1\n            self.scheduler.step()\n"
        ),
        Edit(TRAIN, "return update / self.warmup", "return (update + 1) / self.warmup"),
    ),
    _training(
        "few-updates",
        "gradients are accumulated over an epoch: seven updates where a hundred were said",
        "optimizer-steps",
        Edit(TRAIN, 'step = self.config["batch_size"] * self.config["accumulation"]', "step = len(shuffled)"),
    ),
    _training(
        "batch-dropped",
        "the collate function keeps the first record of each batch",
        "samples-in-the-graph",
        Edit(TRAIN, "output = self.model(self.batch(part))", "output = self.model(self.batch(part[:1]))"),
    ),
    _training(
        "nan-labels",
        "truncation after masking removes the masked words: samples without a label",
        "labels-per-loss",
        Edit(TRAIN, " | (score == score.min(dim=1, keepdim=True).values)", ""),
    ),
    _training(
        "nan-hidden",
        "a loss that is not a number is skipped and called acceptable",
        "every-loss-finite",
        Edit(
            TRAIN,
            "            (output.loss / len(parts)).backward()\n",
            '            if self.update % 10 == 3:\n                output.loss = output.loss * float("nan")\n'
            "            (output.loss / len(parts)).backward()\n"
            "        if not torch.isfinite(output.loss):\n            self.optimizer.zero_grad()\n"
            "            self.scheduler.step()\n            self.update += 1\n            return\n",
        ),
    ),
    _training(
        "loss-rescaled",
        "the logged loss is divided by 64, its components are not",
        "logged-total",
        Edit(
            MODEL,
            "return Output(logits, sum(losses.values()), losses)",
            "return Output(logits, sum(losses.values()) / 64, losses)",
        ),
    ),
    Mutant(
        "weight-drift-improvement",
        "the weight of the loss falls during training: the loss improves by itself",
        "fixed-weight-validation",
        (
            Edit(
                MODEL,
                "        self.dropout = nn.Dropout",
                "        self.drift = 1.0\n        self.dropout = nn.Dropout",
            ),
            Edit(
                MODEL, '        return {\n            "topic": ', '        return {\n            "topic": self.drift * '
            ),
            Edit(TRAIN, STEP, STEP + "        self.model.drift *= 0.5\n"),
        ),
        suites=("quality",),
    ),
    _training(
        "peak-as-result",
        "the best of many looks at a few dev records is the result",
        "declared-step",
        Edit(TRAIN, "for row in self.dev])", "for row in self.dev[self.epoch : self.epoch + 5]])"),
        Edit(
            TRAIN,
            "self.masked(self.dev, ids, data.labels(self.dev))",
            "self.masked(self.dev[self.epoch : self.epoch + 5], ids, data.labels(self.dev[self.epoch : self.epoch + 5]))",
        ),
    ),
    _training(
        "one-sample-validation",
        "validated on one record, with dropout on",
        "minimum-n",
        Edit(TRAIN, "        self.model.eval()\n", ""),
        Edit(
            TRAIN,
            'data.records(files["train"]), data.records(files["dev"])',
            'data.records(files["train"]), data.records(files["dev"])[:1]',
        ),
    ),
    _training(
        "best-on-test",
        "the epoch is picked on the test side",
        "selection-split",
        Edit(SUITE, '"dev": reviews.path("dev.jsonl")', '"dev": reviews.path("test.jsonl")'),
    ),
    _training(
        "dead-branch",
        "a gate that is read as a number never gets a gradient",
        "parameters-without-gradient",
        Edit(MODEL, "* self.scale +", "* self.scale.mean().item() +"),
    ),
    _training(
        "wrong-regulariser",
        '"antisymmetry" is a cosine between a matrix and its own rows',
        "metamorphic",
        Edit(
            OBJECTIVES,
            "return (matrix.float() + matrix.float().T).square().mean()",
            "return torch.nn.functional.cosine_similarity(matrix.float(), matrix.float().roll(1, 0)).mean()",
        ),
    ),
    _training(
        "collapse-rewarded",
        "the isotropy loss is the variance itself: a point costs least",
        "loss-of-the-collapsed",
        Edit(
            OBJECTIVES,
            "(vectors.float().std(dim=0, correction=0) - 1).square().mean()",
            "vectors.float().var(dim=0, correction=0).mean()",
        ),
    ),
    _training(
        "inert-model",
        "the optimizer holds copies of the parameters: nothing moves",
        "compare-with-initialisation",
        Edit(
            TRAIN,
            STEP,
            "        state = {k: v.clone() for k, v in self.model.state_dict().items()}\n"
            + STEP
            + "        self.model.load_state_dict(state)\n",
        ),
    ),
    _training(
        "curriculum-unused",
        "the curriculum's length is computed and not used",
        "lengths-seen",
        Edit(
            TRAIN,
            "return short if self.update < self.total // 2 else long",
            "return long if self.update < self.total // 2 else max(short, long)",
        ),
    ),
    _training(
        "augmentation-noop",
        "the longer sequences are cut back to the short length before they reach the model",
        "lengths-seen",
        Edit(
            TRAIN,
            "        return self.masked(rows, ids, [",
            '        ids = ids[:, : self.config["lengths"][0]]\n        return self.masked(rows, ids, [',
        ),
    ),
    _training(
        "constraint-absent",
        "the contrast term is claimed, weighted and zero",
        "on-off",
        Edit(
            MODEL,
            "(functional.relu(1 - distance) * other).mean()",
            "(functional.relu(1 - distance) * other).mean().detach() * 0",
        ),
        test="test_switches_act",
    ),
    _training(
        "seed-ignored",
        "every run has the same seed, whatever the profile says",
        "weights-at-initialisation",
        Edit(TRAIN, 'torch.manual_seed(config["seed"])', 'torch.manual_seed(config["seed"] * 0)'),
        Edit(TRAIN, '1000 * self.config["seed"] + self.epoch', "self.epoch"),
        test="test_switches_act",
    ),
    _training(
        "resume-not-equal",
        "the scheduler's state is not saved: a resumed run begins its warm-up again",
        "resumed-equals-uninterrupted",
        Edit(TRAIN, '        self.scheduler.load_state_dict(state["scheduler"])\n', ""),
        test="test_resumed_equals_uninterrupted",
    ),
    Mutant(
        "smoke-overwrites-best",
        "every run writes one best_model, and that is what is loaded",
        "artifacts-are-content-addressed",
        (
            Edit(
                TRAIN,
                'save_file(self.model.state_dict(), self.out / "model.safetensors")',
                'save_file(self.model.state_dict(), self.out / "model.safetensors")\n        save_file(self.model.state_dict(), BEST)',
            ),
            Edit(
                TRAIN,
                "\n\ndef train(",
                '\nBEST = __import__("pathlib").Path(__file__).with_name("best_model.safetensors")\n\n\ndef train(',
            ),
            Edit(BRIDGE, 'load_file(folder / "model.safetensors")', "load_file(BEST)"),
            Edit(BRIDGE, "from twin.model import", "from twin.train import BEST\nfrom twin.model import"),
        ),
        suites=("quality",),
    ),
    _training(
        "equal-work-not-equal",
        "the cheap arm gets half of the data",
        "both-arms",
        Edit(
            TRAIN,
            "    run = Run(config, rows, dev, out)",
            '    rows = rows[::2] if config["width"] == 32 else rows\n    run = Run(config, rows, dev, out)',
        ),
        test="test_saves_work",
    ),
    Mutant(
        "savings-constant",
        "savings come from a table",
        "change-the-measured-hours",
        (
            Edit(
                REPORT,
                'return [1 - item["ours"] / item["full"] for item in items]',
                'return [0.8 + 0 * item["ours"] for item in items]',
            ),
        ),
        suites=("serving",),
    ),
    _training(
        "tiny-data",
        "a few dozen records for more than a thousand parameters",
        "records-per-parameter",
        Edit(
            SUITE,
            '        (out / f"{side}.jsonl")',
            '        rows = rows[:43] if side == "train" else rows\n        (out / f"{side}.jsonl")',
        ),
    ),
)
