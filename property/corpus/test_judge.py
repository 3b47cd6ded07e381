"""What the judge of the corpus finds out by itself, by hand-written files."""

from __future__ import annotations

from acceptance.corpus import sites


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
