"""Further ways to write what the rules look for, and further code that only resembles it; one line of intent each."""

from __future__ import annotations

import time

import pytest

from assay.lint import engine
from assay.lint.source import kind_of, read

FOUND = [
    ("AS301", "a.py", "X = np.random.rand(100, 5)\ny = np.random.randint(0, 2, 100)\nclf.fit(X, y)\n"),
    ("AS108", "a.py", "for e in r:\n    acc = evaluate(model, test_loader)\n    if acc > best_acc:\n        best_acc = acc\n"),
    ("AS108", "a.py", "for e in r:\n    if test_acc > best_acc and e > 5:\n        best_acc, best_epoch = test_acc, e\n"),
    ("AS302", "a.py", "clf.fit(X_train, y_train)\ntest_acc = clf.score(X_train, y_train)\n"),
    ("AS105", "a.py", "class Net(nn.Module):\n    def forward(self, x):\n        x = F.softmax(self.fc(x), 1)\n        return x\n\nmodel = Net().to(device)\nloss = F.cross_entropy(model(x), y)\n"),
    ("AS209", "a.py", "total = 0\nfor b in loader:\n    loss = m(b) / accumulation\n    total += loss.item()\n    loss.backward()\n"),
    ("AS301", "a.py", "y = torch.randint(0, 2, (8,))\nx = torch.randn(8, 3)\nF.cross_entropy(m(x), y)\nF.cross_entropy(m(batch), y)\n"),
    ("AS302", "a.py", "ds = A('t.json')\ntrain_loader = DataLoader(ds)\nother = A('u.json')\ntest_loader = DataLoader(ds)\n"),
    ("AS407", "a.sh", "pip install . && pytest -q || true  # flaky\n"),
    ("AS407", "a.sh", "python tools/verify_model.py || true\n"),
    ("AS507", "a.md", "Solved 41/53 problems (95% of all).\n"),
    ("AS101", "a.py", "def accuracy(self, x):\n    return torch.tensor(0.75)\n"),
    ("AS101", "a.py", "async def evaluate(m):\n    await m.run()\n    return {'mrr': 0.52, 'n': 3}\n"),
    ("AS102", "a.py", "from sklearn.metrics import roc_auc_score\nprint(roc_auc_score(labels, np.random.rand(len(labels))))\n"),
    ("AS103", "a.py", "_ = model.load_state_dict(state, strict=False)\n"),
    ("AS104", "a.py", "try:\n    net.load_state_dict(s)\nexcept Exception:\n    net = Net()\nscore(net)\n"),
    ("AS105", "a.py", "p = F.softmax(z, -1)\nq = p.softmax(-1)\n"),
    ("AS105", "a.py", "loss = F.binary_cross_entropy_with_logits(torch.sigmoid(z).squeeze(-1), y)\n"),
    ("AS109", "a.py", "class T:\n    @property\n    def time_saved(self):\n        return 0.62 if self.lora else 0.4\n"),
    ("AS201", "a.py", "config = {'hidden_size': 768, 'lr': 1}\nf(config['lr'])\nm = Net(hidden_size=64)\n"),
    ("AS206", "a.py", "def f(o, l):\n    s = torch.optim.lr_scheduler.StepLR(o, 3)\n    if s is not None:\n        print(s.last_epoch)\n"),
    ("AS208", "a.py", "def fit(data, random_seed):\n    np.random.seed(0)\n    return go(data)\n"),
    ("AS209", "a.py", "for b in x:\n    loss = m(b)\n    loss /= cfg.accumulate\n    loss.backward()\n    log(loss.item())\n"),
    ("AS301", "a.py", "y = torch.randint(0, 2, (8,))\nloss = F.cross_entropy(m(x), y)\n"),
    ("AS302", "a.py", "m.fit(x, y, validation_data=(x, y))\n"),
    ("AS302", "a.py", "Trainer(m, train_dataset=d['train'], eval_dataset=d['train'])\n"),
    ("AS302", "a.py", "train_loader = DataLoader(data, 8, shuffle=True)\nval_loader = DataLoader(data, 8)\n"),
    ("AS302", "a.py", "train = load_dataset('x', split='train')\ntest = load_dataset('x', split='train')\n"),
    ("AS302", "a.py", "p.add_argument('--train-path', default='a.jsonl')\np.add_argument('--val-path', default='a.jsonl')\n"),
    ("AS401", "test_a.py", "def helper():\n    return 3\n\ndef test_it():\n    helper()\n"),
    ("AS402", "test_a.py", "def test_it():\n    assert (f() == 3, 'three')\n"),
    ("AS402", "test_a.py", "def test_it():\n    assert f() == 3 or True\n"),
    ("AS403", "conftest.py", "@pytest.fixture(autouse=True)\ndef m(monkeypatch):\n    monkeypatch.setattr(app, 'Encoder', MagicMock())\n"),
    ("AS404", "test_a.py", '"""Tests of training."""\n'),
    ("AS405", "a.sh", 'pytest\necho "done"; exit $?\n'),
    ("AS406", "a.sh", "#!/bin/bash\npytest\necho 'All tests passed'\n"),
    ("AS406", "a.py", "def validate(m):\n    print(m())\n\ndef main():\n    validate(m)\n\nmain()\nprint('All targets achieved')\n"),
    ("AS407", "a.yaml", "steps:\n  - run: pytest -q\n    continue-on-error: true\n"),
    ("AS407", "a.yaml", "steps:\n  - run: python -m pytest tests || exit 0\n"),
    ("AS408", "a.py", "def rate(r, known_failures):\n    return r.passed / (r.total - len(known_failures))\n"),
    ("AS501", "a.safetensors", "not weights\n"),
    ("AS501", "a.py", "torch.save({'placeholder': True}, 'best.pt')\n"),
    ("AS502", "a.py", "m = {}\nm['f1'] = 0.91\nyaml.safe_dump(m, file)\n"),
    ("AS503", "a.py", "def embed(code):\n    try:\n        return m(code)\n    except Exception:\n        return np.zeros(768)\n"),
    ("AS503", "a.py", "def score(x):\n    try:\n        return m(x), ''\n    except Exception as e:\n        return 0.5, str(e)\n"),
    ("AS504", "a.py", "class ModelServer:\n    def predict(self, x):\n        y = np.random.rand(4)\n        return y.tolist()\n"),
    ("AS505", "a.py", "import pickle\nx = pickle.loads(data)\n"),
    ("AS507", "a.md", "We passed 45 of 50 tests (95%).\n"),
]  # fmt: skip
SILENT = [
    ("AS108", "a.py", "for e in r:\n    acc = evaluate(model, val_loader)\n    if acc > best_acc and e > 5:\n        best_acc, best_epoch = acc, e\n"),
    ("AS108", "a.py", "for e in r:\n    if val_acc > best_acc:\n        best_acc, best_test_acc = val_acc, test_acc\n"),
    ("AS302", "a.py", "clf.fit(X_train, y_train)\ntrain_acc = clf.score(X_train, y_train)\ntest_acc = clf.score(X_test, y_test)\n"),
    ("AS102", "a.py", "logits = torch.randn(8, 10)\nlabels = torch.randint(0, 10, (8,))\nprint(criterion(logits, labels))\n"),
    ("AS301", "a.py", "logits = torch.randn(8, 10)\nlabels = torch.randint(0, 10, (8,))\nprint(criterion(logits, labels))\n"),
    ("AS301", "a.py", "X = 2 * np.random.rand(100, 1)\ny = 4 + 3 * X + np.random.randn(100, 1)\nmodel.fit(X, y)\n"),
    ("AS301", "a.py", "images = torch.randn(8, 3)\nlabels = torch.randint(0, 10, (8,))\nloss = F.cross_entropy(model(images), labels)\n"),
    ("AS105", "a.py", "class A:\n    def __init__(self):\n        self.criterion = nn.CrossEntropyLoss()\n\nclass B:\n    def __init__(self):\n        self.criterion = nn.BCELoss()\n    def f(self, z, y):\n        return self.criterion(torch.sigmoid(z), y)\n"),
    ("AS209", "a.py", "for epoch in range(9):\n    total = 0\n    for micro in range(grad_accum_steps):\n        loss = m(x) / grad_accum_steps\n        total += loss.detach()\n        loss.backward()\n"),
    ("AS209", "a.py", "for b in loader:\n    loss = m(b) / accum\n    total += loss.item()\n    loss.backward()\nprint(total * accum / len(loader))\n"),
    ("AS302", "a.py", "ds = A('train.json')\ntrain_loader = DataLoader(ds)\nds = A('test.json')\ntest_loader = DataLoader(ds)\n"),
    ("AS407", "a.sh", "python3 download_latest.py || true\nmake test-clean || true\n"),
    ("AS407", "a.yaml", "steps:\n  - run: pytest -q\n  - uses: codecov/codecov-action@v4\n    continue-on-error: true\n"),
    ("AS507", "a.md", "Solved 41/53 problems (95% CI 64 to 87).\n"),
    ("AS405", "a.sh", 'echo "x" > /proc/file\nif [ $? -ne 0 ]; then exit 1; fi\n'),
    ("AS207", "a.py", "s = torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=len(rates))\nfor epoch in range(e):\n    s.step()\n"),
    ("AS203", "a.py", "p = argparse.ArgumentParser()\np.add_argument('--x')\nrun(**vars(p.parse_args()))\n"),
    ("AS101", "a.py", "def f1(p, r):\n    if p + r == 0:\n        return 0.0\n    return 2 * p * r / (p + r)\n"),
    ("AS101", "a.py", "def default_accuracy_threshold():\n    return 0.75\n"),
    ("AS101", "a.py", "def score(self):\n    return self._score\n"),
    ("AS102", "a.py", "scores = model(x) + torch.randn(3) * 0.1\n"),
    ("AS102", "a.py", "dropout_probability = torch.rand([])\n"),
    ("AS103", "a.py", "result = model.load_state_dict(state, strict=False)\nlog(result)\n"),
    ("AS104", "a.py", "try:\n    net.load_state_dict(s)\nexcept RuntimeError:\n    net.load_state_dict(renamed(s))\n"),
    ("AS105", "a.py", "p = torch.sigmoid(z)\nif flip:\n    p = z\nq = torch.sigmoid(p)\n"),
    ("AS105", "a.py", "for _ in range(3):\n    z = layer(torch.sigmoid(z))\n"),
    ("AS107", "a.py", "print(f'best accuracy: {max(accuracies)}')\n"),
    ("AS206", "a.py", "def f(o):\n    s = torch.optim.lr_scheduler.StepLR(o, 3)\n    return o, s\n"),
    ("AS206", "a.py", "class A(Base):\n    def f(self, o):\n        self.s = torch.optim.lr_scheduler.StepLR(o, 3)\n"),
    ("AS207", "a.py", "s = torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=steps // len(loader))\nfor epoch in range(e):\n    s.step()\n"),
    ("AS208", "a.py", "for seed in range(3):\n    run(make(), seed=seed)\n"),
    ("AS209", "a.py", "for b in x:\n    loss = m(b) / accum\n    loss.backward()\n    log(loss.item() * accum)\n"),
    ("AS301", "a.py", "labels = torch.randperm(len(labels))\nlabels = real(labels)\n"),
    ("AS302", "a.py", "train_loader = DataLoader(data, sampler=a)\nval_loader = DataLoader(data, sampler=b)\n"),
    ("AS302", "a.py", "train_loader = DataLoader(train_data)\nval_loader = DataLoader(val_data)\n"),
    ("AS302", "a.py", "train = load_dataset('x', split='train')\ntest = load_dataset('x', split='test')\n"),
    ("AS303", "a.py", "DataLoader(d, batch_size=8, collate_fn=lambda b: (b[0], len(b), b))\n"),
    ("AS401", "test_a.py", "class T:\n    def test_it(self):\n        self.common(3)\n"),
    ("AS402", "test_a.py", "def test_it():\n    items = []\n    fill(items)\n    assert len(items) == 0\n"),
    ("AS402", "test_a.py", "def test_it():\n    items = [1, 2]\n    prune(items)\n    assert len(items) == 2\n"),
    ("AS405", "a.sh", "pytest\nstatus=$?\necho $status\nexit $status\n"),
    ("AS405", "a.sh", 'result=$(echo "x" | grep y)\nif [ $? -eq 0 ]; then exit 1; fi\n'),
    ("AS406", "a.sh", "set -e\npytest\necho 'All tests passed'\n"),
    ("AS406", "a.py", "assert run() == 0\nprint('All tests passed')\n"),
    ("AS407", "a.sh", "grep x y || true\n"),
    ("AS501", "a.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
    ("AS501", "page.pt", "<html tal:content='x'></html>\n"),
    ("AS502", "a.py", "json.dump({'threshold': {'accuracy': 0.91}, 'dropout': 0.15}, f)\n"),
    ("AS503", "a.py", "def ratio_score(a, b):\n    try:\n        return a / b\n    except ZeroDivisionError:\n        return 0.0\n"),
    ("AS504", "a.py", "@app.get('/x')\ndef x():\n    return {'request_id': random.random()}\n"),
    ("AS302", "a.py", "p.add_argument('--train-path', default='a.jsonl')\np.add_argument('--val-path', default='b.jsonl')\n"),
    ("AS406", "a.py", "def main():\n    if f1() < 0.5:\n        raise ValueError\n\nmain()\nprint('All targets achieved')\n"),
    ("AS406", "a.py", "def main():\n    verify(m)\n\nmain()\nprint('All targets achieved')\n"),
    ("AS505", "a.py", "x = torch.load(p, weights_only=True)\n"),
    ("AS507", "a.md", "45 of 50 tests pass (90 %); 1/3 of them (33%) are slow.\n"),
]  # fmt: skip


def rules(name: str, text: str) -> set[str]:
    from assay.lint.project import Project
    from assay.lint.rules import RULES

    kind = kind_of(name)
    assert kind is not None
    facts = engine.of_source(read(name, kind, text.encode(), len(text)))
    assert facts.broken == []
    assert facts.note == ""
    across = {code for code, rule in RULES.items() if rule.across and list(rule.across(Project([facts])))}
    return across | {hit[0] for hit in facts.hits}


@pytest.mark.parametrize(("code", "name", "text"), FOUND)
def test_found(code: str, name: str, text: str) -> None:
    assert code in rules(name, text)


@pytest.mark.parametrize(("code", "name", "text"), SILENT)
def test_silent(code: str, name: str, text: str) -> None:
    assert code not in rules(name, text)


YAML = "optim:\n  lr: 0.1\n  momentum: 0.9\nstages:\n  - width: 3\nepochs: 2\n"
READS = "cfg = yaml.safe_load(open('c.yaml'))\ngo(cfg['epochs'])\n"


@pytest.mark.parametrize(
    ("code", "unread"),
    [
        (READS, {"lr", "momentum", "width"}),
        (
            READS + "d = Dataset.from_dict({'text': texts})\nfor f in fields(X):\n    go(f)\n",
            {"lr", "momentum", "width"},
        ),
        (READS + "o = dict(cfg['optim'])\nSGD(p, **o)\n", {"width"}),
        (READS + "SGD(p, **{**cfg['optim'], 'n': 1})\n", {"width"}),
        (READS + "SGD(p, **(cfg['optim'] | more))\n", {"width"}),
        (READS + "for stage in cfg['stages']:\n    block(**stage)\n", {"lr", "momentum"}),
        (READS + "s = Settings.from_dict(cfg)\n", set()),
        (READS + "s = instantiate(cfg.model)\n", set()),
    ],
)
def test_what_is_handed_over_whole_may_be_read_and_nothing_else(code: str, unread: set[str]) -> None:
    """One harmless call somewhere in a project must not silence the rule for all of its configuration."""
    from assay.lint.project import Project
    from assay.lint.rules import RULES

    files = {"c.yaml": YAML, "train.py": code}
    facts = [engine.of_source(read(n, kind_of(n) or "", text.encode(), len(text))) for n, text in files.items()]
    across = RULES["AS202"].across
    assert across is not None
    found = [hit.message for hit in across(Project(facts))]
    assert {key for key in ("lr", "momentum", "width") for message in found if f"`{key}`" in message} == unread


def test_names_that_are_made_of_each_other_are_walked_once() -> None:
    """Eight names over three rounds took nine seconds in one rule: each way between them was gone."""
    names = [f"part_{number}" for number in range(8)]
    lines = [f"{one} = np.tanh({names[i - 7]}) + {names[i - 6]}" for i, one in enumerate(names)] * 6
    began = time.process_time()
    assert "AS102" in rules("a.py", "\n".join(["import numpy as np", *lines, "accuracy = random.random() * part_3\n"]))
    assert time.process_time() - began < 2


def test_a_computed_option_is_not_called_missing() -> None:
    from assay.lint.project import Project
    from assay.lint.rules import RULES

    script = "import argparse\np = argparse.ArgumentParser()\nfor n in names:\n    p.add_argument({})\np.parse_args()\n"
    page = "```\npython run.py --corpus x\n```\n"
    for option, missing in (('f"--{n}"', 0), ('"--other"', 1)):
        texts = (("run.py", "python", script.format(option)), ("a.md", "markdown", page))
        facts = [engine.of_source(read(name, kind, text.encode(), len(text))) for name, kind, text in texts]
        across = RULES["AS506"].across
        assert across is not None
        assert len(list(across(Project(facts)))) == missing
