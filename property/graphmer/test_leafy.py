"""Chains hold the graph: whatever the facts, they decode to the same facts, in rows of any width."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus import tokenizer as tokenizers
from graphmer import leafy, records
from graphmer.errors import GraphmerError
from graphmer.records import Fact, Record

RELATIONS = ("calls", "defines", "raises")
NUMBERS = {name: number for number, name in enumerate(RELATIONS, start=1)}
NAMES = st.from_regex(r"[a-zé_]{1,6}(\.[A-Za-z_<>0-9]{1,6}){0,3}", fullmatch=True)
FACTS = st.lists(st.tuples(st.sampled_from(RELATIONS), NAMES), min_size=1, max_size=40, unique=True)
TEXTS = st.text(alphabet="ab_ (.)\n\té→", max_size=300)


@pytest.fixture(scope="module")
def tokenizer():
    return tokenizers.train(["def ab_a(b): return b.a", "calls raises é → ab ab aa bb"], 285)


def encoded(record, tokenizer, width, roots=0.5, leaves=True):
    (tokens,) = leafy.tokenise([record], tokenizer)
    return leafy.encode(0, record, tokens, NUMBERS, width, roots, leaves)


@given(head=NAMES, text=TEXTS, facts=FACTS, width=st.sampled_from([64, 96, 200]), roots=st.floats(0.1, 1.0))
@settings(max_examples=150, deadline=None)
def test_chains_decode_to_the_same_head_and_facts(tokenizer, head, text, facts, width, roots):
    record = Record("r", "g", head, text, records.places_of(text, facts))
    found = []
    for chain in encoded(record, tokenizer, width, roots):
        assert len(chain) <= width
        own_head, own = leafy.decode(chain, tokenizer, RELATIONS)
        assert own_head == head
        assert own  # no chain without a leaf: every loss of it has something to learn from
        found += own
    assert sorted(found) == sorted(facts)


@given(text=TEXTS, facts=FACTS)
@settings(max_examples=60, deadline=None)
def test_a_leaf_hangs_on_the_first_mention_of_its_tail_or_on_the_name(tokenizer, text, facts):
    record = Record("r", "g", "m.f", text, records.places_of(text, facts))
    (tokens,) = leafy.tokenise([record], tokenizer)
    name = len(tokens.head) + 2
    for chain in leafy.encode(0, record, tokens, NUMBERS, 200, 0.9, True):
        roots = chain.leaves == 0
        assert (chain.anchors[roots] == range(int(roots.sum()))).all()
        for leaf, fact in enumerate(chain.facts, start=1):
            (anchor,) = set(chain.anchors[chain.leaves == leaf].tolist())
            place = record.facts[fact].place
            assert roots[anchor]
            if place < 0:
                assert anchor == 1
            elif anchor != 1:
                token = next(i for i in reversed(range(len(tokens.starts))) if tokens.starts[i] <= place)
                assert chain.ids[anchor] == tokens.text[token]
                assert anchor >= name


def test_by_hand(tokenizer):
    """Two facts: one whose tail is said in the text, one whose tail is not."""
    record = Record("r", "g", "m.f", "a(b)", records.places_of("a(b)", [("calls", "x.a"), ("raises", "x.c")]))
    assert record.facts == (Fact("calls", "x.a", 0), Fact("raises", "x.c", -1))
    (chain,) = encoded(record, tokenizer, 64)
    (tokens,) = leafy.tokenise([record], tokenizer)
    head, body, first, second = len(tokens.head), len(tokens.text), len(tokens.tails[0]), len(tokens.tails[1])
    roots = head + 2 + body
    assert chain.ids.tolist() == [2, *tokens.head, 3, *tokens.text, *tokens.tails[0], *tokens.tails[1]]
    assert chain.relations.tolist() == [0] * roots + [1] * first + [3] * second
    assert chain.anchors.tolist() == [*range(roots), *[head + 2] * first, *[1] * second]
    assert chain.leaves.tolist() == [0] * roots + [1] * first + [2] * second
    assert chain.places.tolist() == [0] * roots + [*range(1, first + 1), *range(1, second + 1)]


def test_without_leaves_the_chains_are_the_same_texts(tokenizer):
    text = "ab_a(b) " * 30
    record = Record("r", "g", "m.f", text, records.places_of(text, [("calls", "x.ab_a"), ("raises", "x.c")]))
    for chain in encoded(record, tokenizer, 64, leaves=False):
        assert not chain.leaves.any()
        assert chain.facts == ()


def test_a_name_that_cannot_be_held_is_an_error_and_never_cut(tokenizer):
    record = Record("r", "g", "m.f", "", (Fact("calls", "zq" * 60),))
    with pytest.raises(GraphmerError, match="raise the profile's lengths"):
        encoded(record, tokenizer, 64)


def test_the_text_of_a_record_is_its_own(tmp_path):
    """A class is told without the bodies of its methods; a method with its own; imports were never there."""
    text = "class A:\n    x = 1\n\n    def f(self):\n        return g(1)\n\n    def h(self):\n        pass"
    entities = [
        {"name": "m.A", "type": "Class", "file": "d/m.py", "line": 1, "end_line": 8},
        {"name": "m.A.f", "type": "Method", "file": "d/m.py", "line": 4, "end_line": 5},
    ]
    triples = [
        {"head": head, "relation": relation, "tail": tail, "distribution": "d"}
        for head, relation, tail in [("m.A", "defines", "m.A.f"), ("m.A.f", "calls", "m.g"), ("m.A.f", "calls", "m.g")]
    ]
    found = records.build(triples, entities, [{"file": "d/m.py", "text": text}])
    assert [each.text for each in found] == [
        "class A:\n    x = 1\n    def f(self):\n    def h(self):",
        "def f(self):\n    return g(1)",
    ]
    assert [len(each.facts) for each in found] == [1, 1]
    assert found[1].text[found[1].facts[0].place :].startswith("g(1)")
