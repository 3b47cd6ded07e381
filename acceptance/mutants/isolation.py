"""A subject that tampers with the judge's tools in its own process gains nothing: what is wrong with it shows as before."""

from __future__ import annotations

from assay.mutants import Edit, Mutant

BRIDGE = "impl/twin/bridge.py"
CONSTANT = (
    Edit(BRIDGE, "return probability(self.logits(texts))", "return [0.630 for _ in texts]"),
    Edit(BRIDGE, "return [int(p >= 0.5) for p in self.topics(texts)]", "return [1 for _ in texts]"),
)
LOAD = "def load(folder):\n"


def _tampers(what: str, defect: str, code: str, killed_by: str = "std-and-unique-values") -> Mutant:
    body = "".join(f"    {line}\n" for line in code.splitlines())
    return Mutant(
        f"isolation.{what}", defect, killed_by, (*CONSTANT, Edit(BRIDGE, LOAD, LOAD + body)), suites=("quality",)
    )


MUTANTS = (
    _tampers(
        "metric",
        "a constant predictor that replaces the metrics of the harness in its process",
        "import assay.metrics.classification as c\nimport assay.metrics.calibration as k\n"
        "c.right = lambda p, g: [1.0] * len(p)\nk.brier = lambda p, g: [0.0] * len(p)\n"
        "from assay.metrics import Metric\nMetric.compute = lambda self, *a, **o: 1.0",
    ),
    _tampers(
        "liveness",
        "a constant predictor that replaces the checks of the harness in its process",
        "import assay.liveness as l\nl.predictions_alive = lambda *a: []\nl.examine = lambda *a, **o: []",
    ),
    _tampers(
        "numpy",
        "a constant predictor that replaces numpy's mean and equality in its process",
        "import numpy\nnumpy.mean = lambda *a, **o: 1.0\nnumpy.array_equal = lambda *a: False",
    ),
    _tampers(
        "pytest",
        "a constant predictor that makes pytest's failures do nothing in its process",
        "import pytest\npytest.fail = lambda *a, **o: None\npytest.skip = lambda *a, **o: None",
    ),
    _tampers(
        "exit",
        "a subject that ends its process with success in the middle of the question",
        "import atexit\nimport os\nimport threading\nthreading.Timer(0.0, lambda: os._exit(0)).start()\nimport time\ntime.sleep(5)",
        "answers-before-it-ends",
    ),
    _tampers(
        "protocol",
        "a subject that prints a perfect answer where the judge listens",
        'print("{\\"result\\": 1.0}", flush=True)\nimport sys\nsys.__stdout__.write("{}")',
    ),
    Mutant(
        "isolation.clock",
        "a slow subject that stops the clock in its process",
        "time-is-the-judges",
        (
            Edit(BRIDGE, "import torch\n", "import itertools\nimport time\n\nimport torch\n"),
            Edit(
                BRIDGE,
                LOAD,
                "CALLS = itertools.count()\nSLEEP = time.sleep\n\n\n"
                + LOAD
                + "    for name in ('perf_counter', 'monotonic', 'time', 'process_time'):\n"
                "        setattr(time, name, lambda: 0.0)\n",
            ),
            Edit(
                BRIDGE,
                "        return serve.handle(self, request)\n",
                "        if next(CALLS) % 70 == 0:\n            SLEEP(0.45)\n        return serve.handle(self, request)\n",
            ),
        ),
        suites=("serving",),
    ),
    Mutant(
        "isolation.later",
        "an answer that is worked out when somebody looks at it, after the time was taken",
        "time-is-the-judges",
        (
            Edit(BRIDGE, "import torch\n", "import time\n\nimport torch\n"),
            Edit(
                BRIDGE,
                LOAD,
                "class Later(dict):\n"
                "    def items(self):\n"
                "        time.sleep(0.01)\n"
                "        return super().items()\n\n\n" + LOAD,
            ),
            Edit(
                BRIDGE,
                "        return serve.handle(self, request)\n",
                "        return Later(serve.handle(self, request))\n",
            ),
        ),
        suites=("serving",),
    ),
)
