"""Laws of the tasks: rankers whose twin is blind to the encoder, features that count what they say, gold that stays put."""

from __future__ import annotations

import ast
from collections import Counter

import numpy as np
import pytest
from acceptance.graphmer import link_baselines, link_data
from acceptance.graphmer.dependency_data import imported
from acceptance.graphmer.held_links import DEPTH, Held
from acceptance.graphmer.masked import Masked
from hypothesis import example, given
from hypothesis import strategies as st

from graphmer.tasks.dependencies import Memory, identifiers
from graphmer.tasks.features import PLACES, Body, spoken, words
from graphmer.tasks.names import FEATURES as NAMES
from graphmer.tasks.names import Names, World
from graphmer.tasks.ranker import Ranker
from graphmer.tasks.search import Field

lightgbm = pytest.importorskip("lightgbm")


class Blind:
    """An encoder that nobody asks."""


# -- the ranker ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fitted() -> tuple[Ranker, np.ndarray]:
    """400 queries of five rows; column 0 is the encoder's, and knows the answer better than column 1 does."""
    rng = np.random.default_rng(0)
    labels = np.tile([1, 0, 0, 0, 0], 400)
    features = rng.normal(size=(2000, 4)).astype(np.float32)
    features[:, 0] += 3 * labels
    features[:, 1] += 1 * labels
    return Ranker.fit(features, labels, [5] * 400, [0], rounds=30), features


def hits(scores: np.ndarray) -> float:
    return float((scores.reshape(-1, 5).argmax(1) == 0).mean())


def test_the_twin_is_blind_to_the_encoder_and_the_full_ranker_is_not(fitted) -> None:
    ranker, features = fitted
    other = features.copy()
    other[:, 0] = np.random.default_rng(1).normal(size=len(other))
    assert (ranker.scores(features, encoder=False) == ranker.scores(other, encoder=False)).all()
    assert hits(ranker.scores(features)) > hits(ranker.scores(features, encoder=False)) + 0.1
    assert hits(ranker.scores(other)) < hits(ranker.scores(features)) - 0.1


def test_the_twin_is_fitted_on_what_is_there_without_the_encoder(fitted) -> None:
    """Rows that the encoder alone proposes, and queries with nothing right but such a row, teach the twin nothing."""
    _, features = fitted
    labels = np.tile([1, 0, 0, 0, 0], 400)
    cheap = np.random.default_rng(2).random(2000) < 0.7
    twin = Ranker.fit(features, labels, [5] * 400, [0], rounds=30, cheap=cheap)
    right = np.repeat((cheap & (labels == 1)).reshape(-1, 5).any(1), 5)
    kept = cheap & right
    sizes = [count for count in kept.reshape(-1, 5).sum(1) if count]
    alone = Ranker.fit(features[kept], labels[kept], sizes, [0], rounds=30)
    assert (twin.scores(features, encoder=False) == alone.scores(features, encoder=False)).all()
    assert not (twin.scores(features) == alone.scores(features)).all()


def test_a_ranker_that_was_saved_answers_the_same(fitted, tmp_path) -> None:
    ranker, features = fitted
    ranker.save(tmp_path)
    again = Ranker.load(tmp_path)
    for encoder in (True, False):
        assert (again.scores(features, encoder) == ranker.scores(features, encoder)).all()


# -- what code says of a name ----------------------------------------------------------------------


def test_a_body_counts_the_places_of_names() -> None:
    body = Body(
        "@wraps\ndef run(path: Path) -> Result:\n    try:\n        self.open(path)\n    except (OSError, Late):\n"
        "        raise Failure(path)\n    session.open()\n    done = 1\n"
    )
    told = {place: number for number, place in enumerate(PLACES)}
    assert body.row("open")[told["any"]] == 2
    assert body.row("open")[told["call"]] == 2
    assert body.row("open")[told["attribute"]] == 2
    assert body.row("open")[told["self"]] == 1
    assert body.receivers["open"] == {"session"}
    assert body.row("wraps")[told["decorator"]] == 1
    assert body.row("OSError")[told["caught"]] == body.row("Late")[told["caught"]] == 1
    assert body.row("Failure")[told["raised"]] == 1
    assert body.row("Result")[told["annotation"]] == body.row("Path")[told["annotation"]] == 1
    assert body.row("done")[told["stored"]] == 1
    assert not any(body.row("absent"))


@pytest.mark.parametrize(
    ("name", "written"),
    [("a.b.Cls.__init__", "Cls"), ("a.b.run", "run"), ("a:b", "b"), ("a.C.__enter__", "with"), ("top", "top")],
)
def test_what_code_writes_to_mean_an_entity(name: str, written: str) -> None:
    assert spoken(name) == written


@given(st.lists(st.text("abc", min_size=2, max_size=4), min_size=1, max_size=5))  # "AA" is an acronym
def test_an_identifier_falls_into_its_words_however_it_is_joined(parts: list[str]) -> None:
    assert words("_".join(parts)) == tuple(parts)
    assert words("".join(part.capitalize() for part in parts)) == tuple(parts)


# -- BM25 beside the library that the judge uses ---------------------------------------------------


@given(st.lists(st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=8), min_size=2, max_size=8))
def test_a_field_scores_as_bm25s_does(documents: list[list[str]]) -> None:
    bm25s = pytest.importorskip("bm25s")
    k1, b = 1.7, 0.6
    index = bm25s.BM25(k1=k1, b=b, method="lucene")
    index.index(documents, show_progress=False)
    query = [word for word in "abcdefg" if word in index.vocab_dict]
    mine = Field(documents, k1, b).scores([query])[0][0]
    theirs = index.get_scores(query) * (k1 + 1)  # Lucene leaves the constant factor out
    assert np.allclose(mine, theirs, rtol=1e-4, atol=1e-5)


# -- link prediction: what is asked ----------------------------------------------------------------

ends = st.sampled_from(["m", "m.a", "m.b", "n", "n.c"])
edges = st.lists(
    st.tuples(ends, st.sampled_from([*link_data.SPECIFIC_FIRST, "defines", "tested_by"]), ends), max_size=40
)


@given(edges)
def test_two_ends_are_asked_about_once_and_never_where_names_say_it(found) -> None:
    asked = link_data.asked(found)
    pairs = [(head, tail) for head, _, tail in asked]
    assert len(pairs) == len(set(pairs))
    given_by_names = {(head, tail) for head, relation, tail in found if relation in link_data.GIVEN_BY_NAMES}
    assert not given_by_names & set(pairs)
    assert set(asked) <= set(found)
    assert not any(relation in link_data.INVERSES for _, relation, _ in asked)


def test_the_import_of_a_module_beside_a_name_from_it_is_not_asked() -> None:
    asked = link_data.asked([("x", "imports", "a.b"), ("x", "imports", "a.b.c"), ("y", "imports", "a.b")])
    assert asked == [("x", "imports", "a.b.c"), ("y", "imports", "a.b")]


@given(st.integers(0, 5), st.integers(40, 200))
def test_the_three_sides_are_disjoint_and_hold_everything(seed: int, count: int) -> None:
    all_ = [(f"h{i}", ("calls", "uses", "raises")[i % 3], f"t{i}") for i in range(count)]
    known, examples, test = link_data.held_out(all_, 0.2, 0.1, count // 10, seed)
    assert len(known) + len(examples) + len(test) == count
    assert len({*known, *examples, *test}) == count
    assert abs(len(test) - count // 10) <= 3
    assert (known, examples, test) == link_data.held_out(all_, 0.2, 0.1, count // 10, seed)


def test_a_rank_counts_ties_both_ways_and_leaves_other_true_tails_out() -> None:
    scores = np.array([3.0, 2.0, 2.0, 2.0, 1.0], dtype=np.float32)
    nobody = np.zeros(5, dtype=bool)
    assert link_baselines.rank(scores, 1, nobody) == (2.0, 4.0)
    others = np.array([True, False, True, False, False])
    assert link_baselines.rank(scores, 1, others) == (1.0, 2.0)


# -- dependencies ----------------------------------------------------------------------------------


def test_imports_are_read_wherever_they_stand() -> None:
    text = "import a.b, c\nfrom d.e import f\nfrom . import g\nfrom .h import i\ndef j():\n    import k\n"
    assert imported(ast.parse(text)) == {"a", "c", "d", "k"}


def test_names_in_strings_and_comments_are_not_the_code_s() -> None:
    assert identifiers('x = os.path  # numpy\ny = \'pandas\'\n"""scipy"""\n') == {"x", "y", "os", "path", "os.path"}


files = st.lists(
    st.builds(
        lambda group, names, modules: {"group": group, "names": names, "modules": modules},
        st.sampled_from("AB"), st.sets(st.sampled_from("xyz"), min_size=1), st.sets(st.sampled_from(["os", "re"])),
    ),
    min_size=6, max_size=20,
)  # fmt: skip


@given(files)
@example([{"group": "A", "names": {"x", "y"}, "modules": {"os"}}, {"group": "B", "names": {"x"}, "modules": {"re"}}])
def test_leaving_a_distribution_out_is_never_having_seen_it(found) -> None:
    """Each file five times, so that some names and modules are known to both."""
    files = [*found, *found, *found, *found, *found]
    whole, rest = Memory(files), Memory([row for row in files if row["group"] != "A"])
    share, support, odds, base = whole.told(set("xyz"), apart="A")
    lines = rest.told(set("xyz"))
    assert support.tolist() == lines[1].tolist()
    for place, module in enumerate(whole.modules):
        if module not in rest.modules:
            assert base[place] == 0  # as if there were no such module
            continue
        other = rest.modules.index(module)
        assert base[place] == pytest.approx(lines[3][other], rel=1e-5)
        assert share[:, place] == pytest.approx(lines[0][:, other], rel=1e-4)
        assert odds[:, place] == pytest.approx(lines[2][:, other], rel=1e-4, abs=1e-5)


def test_a_module_is_numbered_as_it_was_when_the_ranker_was_fitted(tmp_path) -> None:
    """What is a module depends on the entities: where `b` is none, `b.C` is taken for the module of its method."""
    kinds = {"a": "Module", "a.f": "Function", "b": "Module", "b.C.g": "Method"}
    entities = [{"name": name, "type": kind, "distribution": "d"} for name, kind in kinds.items()]
    uses = [("u", "b.C.g", ""), ("u", "b.C.g", ""), ("u", "a.f", "")]
    fitted = World(entities, uses)
    assert fitted.common == {"b": 1, "a": 2}
    assert World(entities[:2], uses).common == {"b.C": 1, "a": 2}
    ranker = Ranker.fit(np.ones((4, len(NAMES)), np.float32), np.array([1, 0, 1, 0]), [2, 2], [0])
    Names(Blind(), fitted, ranker).save(tmp_path)
    assert Names.load(Blind(), entities[:2], tmp_path).world.common == fitted.common


def held(rows, true) -> Held:
    found = Held(None, None, None)
    found.__dict__.update(rows=rows, true=true)
    return found


def test_the_rank_of_an_answer_is_filtered_and_pessimistic_about_its_end() -> None:
    row = {"head": "h", "relation": "calls", "tail": "gold"}
    asked = held([row], {("h", "calls"): {"gold", "other"}})

    def rank(answer):
        found = asked.ranks([answer])
        return float(found["optimistic"][0]), float(found["pessimistic"][0])

    assert rank([("other", 3.0), ("wrong", 2.0), ("gold", 1.0)]) == (2.0, 2.0)  # what else is true takes no place
    assert rank([("wrong", 2.0), ("gold", 2.0), ("worse", 0.0)]) == (1.0, 2.0)
    assert rank([("wrong", 2.0)]) == (np.inf, np.inf)
    assert rank([]) == (np.inf, np.inf)
    full = [(f"wrong{i}", 5.0) for i in range(DEPTH - 1)] + [("gold", 5.0)]
    assert rank(full) == (np.inf, np.inf)  # it could be anywhere below
    assert rank([("gold", 6.0), *full[:-1]]) == (1.0, 1.0)


def test_what_is_copied_is_what_the_chain_shows_at_that_place_first() -> None:
    ids, places = [2, 9, 9, 9, 3, 7, 8, 1, 1, 7, 6], [0, 0, 0, 0, 0, 1, 2, 1, 2, 1, 2]
    leaf, text = {"ids": ids, "places": places, "at": 8}, {"ids": [2, 1, 9, 7, 7], "places": [0] * 5, "at": 1}
    found = Masked([leaf, text], [8, 7], ["a", "b"], 60).copied(Counter({9: 1, 6: 2, 40: 7}))
    assert [entry for entry, _ in found[0]] == ["6", "8", "9", "7", "40"]  # second places: 6 is commoner, then all
    assert [entry for entry, _ in found[1]] == ["7", "9", "40", "6"]
