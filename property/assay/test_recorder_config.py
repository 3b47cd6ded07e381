"""TrackedConfig: a key is read when its own value was asked for, and only then."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.recorder import TrackedConfig

PROFILE = {"steps": 10, "model": {"hidden": [8, 4], "dropout": 0.1}, "lr": 1e-3}


def names(config: TrackedConfig) -> list[str]:
    return list(config)


def test_everything_is_unread_at_first() -> None:
    assert TrackedConfig(PROFILE).unread == ["steps", "model.hidden", "model.dropout", "lr"]


def test_reading_a_value_counts_for_that_value_alone() -> None:
    config = TrackedConfig(PROFILE)
    assert config["lr"] == 1e-3
    assert config["model"]["hidden"] == [8, 4]
    assert config.get("steps") == 10
    assert config.unread == ["model.dropout"]
    assert config.bulk == []


@pytest.mark.parametrize(
    "walk",
    [
        dict,
        lambda c: dict(**c),
        lambda c: {**c},
        lambda c: list(c.items()),
        lambda c: list(c.values()),
        lambda c: [c[key] for key in c],
        lambda c: {key: c[key] for key in c.keys()},  # noqa: SIM118
        lambda c: c == {"other": 1},
        lambda c: (pickle.loads(pickle.dumps(c)))["lr"],
    ],
)
def test_going_over_the_whole_table_reads_nothing(walk: Any) -> None:
    config = TrackedConfig(PROFILE)
    walk(config)
    assert {"steps", "lr"} <= set(config.unread)
    assert {"steps", "lr"} <= set(config.bulk)


@pytest.mark.parametrize("look", [len, list, sorted, names, repr, lambda c: "lr" in c, lambda c: next(iter(c))])
def test_looking_without_values_is_neither_read_nor_bulk(look: Any) -> None:
    config = TrackedConfig(PROFILE)
    look(config)
    assert len(config.unread) == 4
    assert config.bulk == []


def test_a_read_after_a_look_at_the_keys_is_a_read() -> None:
    config = TrackedConfig(PROFILE)
    list(config.keys())
    first = config["steps"]
    dict(config)
    assert config["lr"] == 1e-3
    assert first == 10
    assert config.unread == ["model.hidden", "model.dropout"]


def test_explicit_names_in_a_loop_are_reads() -> None:
    config = TrackedConfig(PROFILE)
    assert {key: config[key] for key in ("steps", "lr")} == {"steps": 10, "lr": 1e-3}
    assert config.unread == ["model.hidden", "model.dropout"]


def test_copies_are_the_table_itself() -> None:
    config = TrackedConfig(PROFILE)
    assert copy.deepcopy(config)["lr"] == copy.copy(config)["lr"] == 1e-3
    assert "lr" not in config.unread


def test_pickled_it_is_a_plain_dict() -> None:
    back = pickle.loads(pickle.dumps(TrackedConfig(PROFILE)))
    assert type(back) is dict
    assert back == PROFILE
    assert type(back["model"]) is dict


def test_an_unknown_key_names_the_nearest() -> None:
    with pytest.raises(KeyError, match=r'no key "model.drpout"; did you mean "model.dropout"'):
        TrackedConfig(PROFILE)["model"]["drpout"]


keys = st.text("abc", min_size=1, max_size=3)
tables = st.recursive(
    st.dictionaries(keys, st.integers(), max_size=4),
    lambda inner: st.dictionaries(keys, st.one_of(st.integers(), inner), max_size=4),
    max_leaves=8,
)


def leaves(table: dict[str, Any], prefix: str = "") -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for key, value in table.items():
        if isinstance(value, dict) and value:
            found |= {f"{key}.{k}": (key, *path) for k, path in leaves(value).items()}
        else:
            found[key] = (key,)
    return found


@given(tables, st.data())
def test_unread_is_the_complement_of_what_was_read(table: dict[str, Any], data: st.DataObject) -> None:
    config, all_of_them = TrackedConfig(table), leaves(table)
    read = data.draw(st.sets(st.sampled_from(sorted(all_of_them)))) if all_of_them else set()
    for name in read:
        value: Any = config
        for part in all_of_them[name]:
            value = value[part]
    assert config.unread == [name for name in all_of_them if name not in read]
