"""What the judge of the corpus finds out by itself, by hand-written files."""

from __future__ import annotations

import pytest
from acceptance.corpus import sites
from acceptance.corpus.places import Places, named_places


def test_the_judge_counts_calls_itself_and_takes_only_what_is_resolved(tmp_path):
    texts = {
        "a.py": "x: Annotated[int, doc('x')] = f(g())\n@h()\ndef f(y=i()): ...\n",
        "empty.py": "x = 1\n",
        "broken.py": "f(\n",
        "A.java": "class A extends B { A() { super(1); } int f() { return new A().f() + g(h()); } }",
    }
    places = {name: tmp_path / name for name in texts}
    for name, text in texts.items():
        places[name].write_text(text)
    assert sites.of(places) == {"A.java": 5, "a.py": 5}


def test_a_count_that_the_subject_makes_smaller_is_told():
    told = sites.details([3, 5], {"a.py": 4, "b.py": 5})
    assert told == {"call expressions": 9, "files that the subject counts otherwise": ["a.py: 3 of 4"]}


TEXT = "from m import f as g, h\r\nclass Höhe:\n    kept = 1\n\ng(h(2))\nother()\nclass री: ...\n"


def row(head, relation, tail, *span):
    return [head, relation, tail, "Module", "Function", "d", "1", "a.py", "MIT", *span]


@pytest.mark.parametrize(
    ("triple", "holds", "names"),
    [
        (row("a", "calls", "m.f", 5, 0, 5, 7), True, True),  # by `as`
        (row("a", "calls", "m.h", 5, 2, 5, 6), True, True),
        (row("a", "calls", "m.h", 6, 0, 6, 7), True, False),  # a line too far
        (row("a", "imports", "m", 1, 22, 1, 23), True, True),
        (row("a", "defines", "a.Höhe", 2, 0, 3, 12), True, True),
        (row("a", "defines", "a.री", 7, 6, 7, 12), True, True),
        (row("a.Höhe", "defined_in", "a", 2, 0, 3, 12), True, False),
        (row("a.Höhe", "declares", "a.Höhe.kept", 3, 4, 3, 8), True, True),
        (row("a.Höhe", "declares", "a.Höhe.kept", 2, 4, 2, 8), False, False),
        (row("a", "calls", "m.h", 5, 2, 5, 60), False, False),  # beyond the line
        (row("a", "calls", "m.h", 9, 0, 9, 1), False, False),  # beyond the file
        (row("a", "calls", "m.h", 5, 6, 5, 2), False, False),  # backwards
    ],
)
def test_a_place_lies_in_its_file_and_names_what_it_is_of(tmp_path, triple, holds, names):
    (tmp_path / "a.py").write_bytes(TEXT.encode())
    places = Places({"d": tmp_path})
    assert (places.holds(triple), places.names(triple)) == (holds, names)


def test_places_that_are_not_those_of_their_triples_trip_the_check(tmp_path):
    (tmp_path / "a.py").write_bytes(TEXT.encode())
    places = Places({"d": tmp_path})
    right, wrong = row("a", "calls", "m.h", 5, 2, 5, 6), row("a", "calls", "m.h", 6, 0, 6, 7)
    assert named_places(places, [right] * 19 + [wrong], 20, seed=0)[0].ok
    assert not named_places(places, [right] * 18 + [wrong] * 2, 20, seed=0)[0].ok
