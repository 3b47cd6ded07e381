"""Evaluators: hand computation, laws, and the harness's own metrics as a second implementation."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay import metrics
from persona.errors import PersonaError
from persona.evaluators import Benchmark, BenchmarkEvaluator, EngagementEvaluator, PersonaEvaluator, QualityEvaluator
from persona.world import WORLD, generate

PERSONA = ["i work as a baker.", "i have a dog."]
TEXT = st.lists(st.sampled_from(["i", "like", "tea", "red", "my", "dog?", "baker.", "Dog", "it's"]), max_size=12).map(
    " ".join
)
BATCH = st.lists(st.tuples(st.lists(TEXT, min_size=1, max_size=4), TEXT), min_size=1, max_size=5)


# ------------------------------------------------------------------------------ persona


def test_keywords_by_hand():
    found = PersonaEvaluator().evaluate_consistency(PERSONA, "My DOG and I work.")
    assert found == {"score": 2 / 3, "matched": ["dog", "work"], "missed": ["baker"]}
    assert PersonaEvaluator().evaluate_consistency([], "anything")["score"] == 0.0


@given(BATCH)
def test_keyword_scores_are_those_of_the_harness(batch):
    personas, responses = [one for one, _ in batch], [said for _, said in batch]
    found = PersonaEvaluator().evaluate_batch_responses(personas, responses)
    theirs = metrics.get("generation.keyword_overlap").items(responses, personas)
    assert found["scores"] == pytest.approx(list(theirs))
    assert found["minimum"] <= found["mean"] <= found["maximum"] or math.isclose(found["minimum"], found["maximum"])


@given(st.lists(TEXT, min_size=1, max_size=5))
def test_a_dialogue_covers_at_least_what_its_best_turn_does(responses):
    found = PersonaEvaluator().compute_multi_turn_consistency(PERSONA, responses)
    assert found["coverage"] >= max(found["scores"])
    assert found["score"] == pytest.approx(sum(found["scores"]) / len(responses))


@pytest.mark.parametrize(
    ("response", "right"),
    [
        ("i live in rome.", 1.0),
        ("Rome!", 1.0),
        ("i live in rome and paris.", 0.0),
        ("i live in paris.", 0.0),
        ("", 0.0),
        ("romeo", 0.0),
    ],
)
def test_a_probe_wants_the_answer_and_no_other_value(response, right):
    assert PersonaEvaluator().probe_accuracy([response], ["rome"], [["paris", "rome", "oslo"]]) == right


def test_reciting_wins_keywords_and_loses_probes_of_shared_values():
    rows = [row for row in generate("test", 300, 0, ["held"]) if row.probe.slot in ("home", "birthplace", "sister")]
    judge, personas = PersonaEvaluator(), [row.persona for row in rows]
    probes = [row.probe.answer for row in rows], [WORLD.every_value(row.probe.slot) for row in rows]
    gold, recited = [row.response for row in rows], [" ".join(persona) for persona in personas]
    keyword = [judge.evaluate_batch_responses(personas, said)["mean"] for said in (gold, recited)]
    assert keyword[0] < keyword[1] == 1.0
    assert judge.probe_accuracy(gold, *probes) == 1.0 > judge.probe_accuracy(recited, *probes)


def test_a_swap_wants_each_persona_its_own():
    judge = PersonaEvaluator().swap_following
    assert judge([("in rome.", "in oslo.")], [("rome", "oslo")], [["paris"]]) == 1.0
    assert judge([("in rome.", "in rome.")], [("rome", "oslo")], [["paris"]]) == 0.0


@given(st.integers(2, 20), st.integers(1, 9))
def test_likelihood_ties_earn_chance(candidates, rows):
    value = PersonaEvaluator().swap_likelihood([[-1.0] * candidates] * rows, [0] * rows)
    assert value == pytest.approx(1 / candidates)
    better = [[-1.0] + [-2.0] * (candidates - 1)] * rows
    assert PersonaEvaluator().swap_likelihood(better, [0] * rows) == 1.0
    assert PersonaEvaluator().swap_likelihood(better, [1] * rows) == 0.0


# ------------------------------------------------------------------------------ engagement


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=6))
def test_engagement_is_that_of_the_harness(pairs):
    responses, turns = [said for said, _ in pairs], [turn for _, turn in pairs]
    found = EngagementEvaluator().evaluate_engagement(responses, turns)
    assert found["scores"] == pytest.approx(list(metrics.get("generation.engagement").items(responses, turns)))
    parts = [found[name] for name in ("asks", "length", "variety", "own")]
    assert found["mean"] == pytest.approx(sum(parts) / 4)


def test_engagement_over_turns_by_hand():
    dialogue = ["hello!", "what do you do?", "i bake.", "what do you do?"]
    found = EngagementEvaluator().evaluate_multi_turn_engagement(dialogue)
    one = (1 + 0.4 + 3 / 4 + 1) / 4
    assert found == {"mean": pytest.approx(one), "scores": pytest.approx([one, one]), "trend": 0.0, "repeated": 0.5}
    with pytest.raises(PersonaError, match="no response"):
        EngagementEvaluator().evaluate_multi_turn_engagement(["hello!"])


# ------------------------------------------------------------------------------ quality


@given(st.integers(2, 50_000), st.lists(st.integers(1, 30), min_size=1, max_size=5))
def test_a_uniform_model_has_the_perplexity_of_its_vocabulary(vocabulary, lengths):
    texts = [[math.log(1 / vocabulary)] * length for length in lengths]
    assert QualityEvaluator().compute_perplexity(texts) == pytest.approx(vocabulary, rel=1e-12)


def test_perplexity_counts_tokens_and_not_texts():
    texts = [[math.log(0.5)] * 3, [math.log(0.125)]]
    assert QualityEvaluator().compute_perplexity(texts) == pytest.approx(2 ** ((3 * 1 + 3) / 4))


@pytest.mark.parametrize("wrong", [[], [[]], [[0.1]], [[float("nan")]]])
def test_what_is_no_log_probability_is_refused(wrong):
    with pytest.raises(PersonaError):
        QualityEvaluator().compute_perplexity(wrong)


def test_quality_agrees_with_the_harness():
    responses, references = ["i like red tea a lot", "no dog"], ["i like red tea", "my dog is red"]
    judge = QualityEvaluator()
    assert judge.compute_bleu(responses, references) == metrics.get("generation.bleu").compute(responses, references)
    rouge = judge.compute_rouge(responses, references)
    assert rouge["rougeL"] == pytest.approx(metrics.get("generation.rouge_l").compute(responses, references))
    assert rouge["rouge1"] == pytest.approx((2 * 4 / 10 + 2 * 1 / 6) / 2)  # shared words over all words, twice
    assert judge.compute_distinct_n(responses, 2) == metrics.get("generation.distinct").compute(responses, n=2)
    assert judge.compute_distinct_n(["a"], 2) == 0.0
    with pytest.raises(PersonaError, match="n is 1 or more"):
        judge.compute_distinct_n(["a"], 0)


def test_what_no_number_can_hold_is_told():
    assert QualityEvaluator().compute_perplexity([[-700.0]]) == pytest.approx(math.exp(700))
    with pytest.raises(PersonaError, match="800 nats a token"):
        QualityEvaluator().compute_perplexity([[-800.0]])


@pytest.mark.parametrize(
    "ask",
    [
        lambda: PersonaEvaluator().evaluate_consistency("i have a dog.", "a dog."),
        lambda: PersonaEvaluator().evaluate_consistency(None, "a dog."),
        lambda: PersonaEvaluator().evaluate_consistency([None], "a dog."),
        lambda: PersonaEvaluator().evaluate_consistency(PERSONA, 3),
        lambda: PersonaEvaluator().evaluate_batch_responses([["a"], ["b"]], "ab"),
        lambda: PersonaEvaluator().compute_multi_turn_consistency(PERSONA, "a dog."),
        lambda: PersonaEvaluator().swap_likelihood([[math.nan, -1.0]], [0]),
        lambda: EngagementEvaluator().calculate_engagement_score(None),
        lambda: EngagementEvaluator().evaluate_engagement("a dog."),
        lambda: EngagementEvaluator().evaluate_multi_turn_engagement("a dog."),
        lambda: QualityEvaluator().compute_distinct_n("a dog."),
        lambda: QualityEvaluator().compute_bleu("a", "a"),
    ],
)
def test_what_is_of_the_wrong_kind_is_refused(ask):
    with pytest.raises(PersonaError, match=r"is needed, got|NaN"):
        ask()


def test_unequal_numbers_are_refused():
    with pytest.raises(PersonaError, match="got 1 and 2"):
        QualityEvaluator().compute_bleu(["a"], ["a", "b"])
    with pytest.raises(PersonaError, match="got 0 and 0"):
        PersonaEvaluator().evaluate_batch_responses([], [])


# ------------------------------------------------------------------------------ benchmarks


def test_published_figures_are_sourced_and_not_compared_with_other_data():
    judge = BenchmarkEvaluator()
    assert all(one.source and one.data and one.protocol for one in judge.published)
    rows = judge.compare({"perplexity": 2.0, "hits@1": 0.9}, "embedded world", "per piece of its own tokenizer")
    assert {row["metric"] for row in rows} == {"perplexity", "hits@1"}
    assert all(not row["comparable"] and row["difference"] is None and "data differs" in row["reason"] for row in rows)


def test_the_same_protocol_is_compared_in_the_direction_of_the_metric():
    judge = BenchmarkEvaluator([Benchmark("m", "perplexity", 20.0, False, "d", "p", "s")])
    (row,) = judge.compare({"perplexity": 15.0}, "d", "p")
    assert row["comparable"]
    assert row["difference"] == 5.0
