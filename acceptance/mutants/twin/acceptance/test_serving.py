"""Is what is served the model that was judged, and does the report say what was measured?"""

import math
import random

import pytest
from conftest import vocabulary


@pytest.mark.requirement("twin/serving.same")
def test_server_answers_what_the_model_answers(judge, twin, texts):
    judge(twin.predictions("answers", texts), gold=twin.predictions("topics", texts).values)


@pytest.mark.requirement("twin/serving.refuses")
def test_broken_requests_are_refused(judge, twin):
    judge(twin.refusals("answers", ["", "no full stop here", None, "one.", 7, ["a", "b", "c."]]))


@pytest.mark.requirement("twin/serving.loads")
def test_damaged_weights_are_refused(judge, twin):
    judge(twin.load_refusals())


@pytest.mark.requirement("twin/latency.p99")
def test_answers_at_once(judge, twin):
    rng, words = random.Random(9), list(vocabulary())
    judge(twin.timings("answer", [{"text": " ".join(rng.sample(words, 10)) + "."} for _ in range(1020)]))


@pytest.mark.requirement("twin/report.gate")
def test_gate_turns_red(judge, twin):
    good = {name: {"value": 0.9, "bound": 0.8} for name in ("accuracy", "brier", "ranking", "reasons")}
    bad = [{**good, name: {"value": 0.7, "bound": 0.8}} for name in good]
    missing = [{key: row for key, row in good.items() if key != name} for name in good]
    items = [good] * 4 + bad + missing
    judge(twin.outputs("twin.report:gate", items), gold=[1] * 4 + [0] * 8)


@pytest.mark.requirement("twin/report.savings")
def test_savings_follow_the_hours(judge, twin):
    hours = [{"ours": 1.0 + i / 20, "full": 4.0} for i in range(40)]
    found = twin.outputs("twin.report:savings", [one for h in hours for one in (h, {**h, "full": 8.0})])
    judge(found.map(lambda x: {"first": x[0::2], "second": x[1::2]}, items=hours))


@pytest.mark.requirement("twin/report.perplexity")
def test_uniform_model_has_the_vocabulary_as_perplexity(judge, twin, texts):
    uniform = dict.fromkeys(vocabulary(), -math.log(60))
    items = [{"text": text, "logprobs": uniform} for text in texts]
    judge(twin.outputs("twin.report:perplexity", items), gold=[60.0] * len(texts))


@pytest.mark.requirement("twin/report.identities")
def test_parts_sum_to_the_total(judge, twin):
    items = [{"topic": 0.1 * i, "mlm": 0.5, "isotropy": 0.01 * i} for i in range(20)]
    judge(twin.outputs("twin.report:totals", items), gold=[sum(item.values()) for item in items])
