"""The law: a form of the answers is that of the controls, too, with whatever is chosen on answers beside them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from assay.subject import Predictions


class Doubling:
    """A subject that doubles its items, and before training only says them again."""

    untrained = "untrained"

    def ask(self, artifact: Any, method: str, items: Any, arguments: Any) -> Any:
        assert (artifact, method, arguments) == (self.untrained, "double", {})
        return SimpleNamespace(values=list(items))

    def predictions(self, items: list[int], repeatable: bool = True, **more: Any) -> Predictions:
        return Predictions(self, "double", items, [2 * one for one in items], None, repeatable, **more)


def above(answers: list[int], on_dev: list[int]) -> list[bool]:
    """Whether an answer is above the largest one on dev."""
    return [one > max(on_dev) for one in answers]


def test_a_control_has_the_threshold_that_is_chosen_on_its_own_answers():
    """Doubled, 3 and 4 are 6 and 8, beside 4 and 6 on dev; before training they are 3 and 4, beside 2 and 3."""
    subject = Doubling()
    found = subject.predictions([3, 4]).map(above, beside=subject.predictions([2, 3]))
    assert found.values == [False, True]
    assert found.untrained() == [False, True]
    assert above([3, 4], [4, 6]) == [False, False]  # what the trained one's threshold would make of them


def test_forms_of_forms_go_to_the_control_in_turn():
    subject = Doubling()
    dev = subject.predictions([2, 3]).map(lambda answers: [one + 1 for one in answers])
    found = subject.predictions([3, 4]).map(lambda answers: answers[::-1]).map(above, ["b", "a"], beside=dev)
    assert (found.values, found.untrained()) == ([True, False], [False, False])
    assert (found.items, found.asked) == (["b", "a"], [3, 4])


def test_what_either_of_them_read_counts_and_so_does_what_either_does_not_repeat():
    subject = Doubling()
    dev = subject.predictions([2], read={"file:a": "1"}, peeked=("gold.jsonl",))
    found = subject.predictions([3], read={"file:b": "2"}).map(above, beside=dev)
    assert dict(found.read) == {"file:a": "1", "file:b": "2"}
    assert found.peeked == ("gold.jsonl",)
    assert found.repeatable
    assert not subject.predictions([3]).map(above, beside=subject.predictions([2], repeatable=False)).repeatable
