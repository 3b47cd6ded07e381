"""A configuration is merged without harm, read strictly, and comes back from a file as it went in."""

from __future__ import annotations

import copy
import json
import math
import tomllib
from dataclasses import is_dataclass
from pathlib import Path
from typing import get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona.config import Settings, get_default_config, load_config, merge_configs, save_config
from persona.errors import PersonaError

ROOT = Path(__file__).parents[2]

leaves = st.one_of(st.integers(), st.text(max_size=4), st.booleans(), st.lists(st.integers(), max_size=3))
trees = st.recursive(
    st.dictionaries(st.sampled_from("abcd"), leaves, max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abcd"), st.one_of(leaves, inner), max_size=3),
    max_leaves=8,
)

alike = (
    st.recursive(  # what is a table in one is one in all: where a table and a value replace each other, order matters
        st.dictionaries(st.sampled_from("ab"), leaves, max_size=2),
        lambda inner: st.builds(
            dict.__or__,
            st.dictionaries(st.sampled_from("ab"), leaves, max_size=2),
            st.dictionaries(st.sampled_from("AB"), inner, max_size=2),
        ),
        max_leaves=8,
    )
)


@given(trees, trees)
def test_merging_changes_neither_and_shares_nothing(base, override):
    before = copy.deepcopy((base, override))
    merged = merge_configs(base, override)
    spoil(merged)
    assert (base, override) == before


def spoil(table):
    for value in table.values():
        if isinstance(value, dict):
            spoil(value)
        elif isinstance(value, list):
            value.append("spoilt")
    table["spoilt"] = True


@given(alike, alike, alike)
def test_merging_is_associative_and_the_last_word_counts(first, second, third):
    assert merge_configs(merge_configs(first, second), third) == merge_configs(first, merge_configs(second, third))
    assert merge_configs(first, first) == first == merge_configs(first, {}) == merge_configs({}, first)


def test_a_table_keeps_the_keys_that_the_override_does_not_name():
    merged = merge_configs({"sft": {"epochs": 3, "batch": 8}}, {"sft": {"batch": 4}})
    assert merged == {"sft": {"epochs": 3, "batch": 4}}


def test_defaults_are_anew_at_each_call():
    spoil(get_default_config())
    assert "spoilt" not in get_default_config()
    assert Settings.read(get_default_config()) == Settings()


def test_defaults_are_those_of_the_cpu_profile():
    profiles = tomllib.loads((ROOT / "spec" / "persona.toml").read_text(encoding="utf-8"))["profile"]
    assert Settings.read(profiles["cpu"]) == Settings()
    for name in ("smoke", "t4x2", "cuda"):
        Settings.read(profiles[name])


@pytest.mark.parametrize("suffix", ["json", "yaml", "yml"])
def test_what_is_saved_is_loaded(tmp_path, suffix):
    config = merge_configs(get_default_config(), {"sft": {"epochs": 7, "lora": {"rank": 5}}, "report_to": ["wandb"]})
    path = tmp_path / "deep" / f"config.{suffix}"
    save_config(config, path)
    assert load_config(path) == config
    assert list(path.parent.iterdir()) == [path]


def test_toml_is_read(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("seed = 3\n[sft.lora]\nrank = 2\n")
    loaded = load_config(path)
    assert (loaded["seed"], loaded["sft"]["lora"]["rank"]) == (3, 2)


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"sft": {"epoch": 1}}, 'did you mean "sft.epochs"'),
        ({"sft": {"epochs": "3"}}, '"sft.epochs" cannot be'),
        ({"sft": {"epochs": True}}, '"sft.epochs" cannot be'),
        ({"sft": 3}, '"sft" is a table'),
        ({"reinforce": {"algorithm": "dpo"}}, "ppo, rloo, grpo"),
        ({"pairing": "none"}, "own, blind, shuffled"),
        ({"report_to": "wandb"}, "list of strings"),
        ({"reinforce": {"response": 320}}, "reinforce.response: less than model.context"),
        ({"reinforce": {"batch": 7}}, "reinforce.batch: a multiple of reinforce.minibatches"),
        ({"reinforce": {"algorithm": "rloo", "generations": 1}}, "reinforce.generations: 2 or more"),
        ({"model": {"width": 100, "heads": 4}}, "model.width: a multiple of twice model.heads"),
        ({"report_to": ["nope"]}, 'report_to = "nope": known are tensorboard, wandb'),
        ({"threads": 0}, '"threads" cannot be 0: it is a whole number of 1 or more'),
        ({"seed": -1}, '"seed" cannot be -1'),
        ({"sft": {"batch": 0}}, '"sft.batch" cannot be 0'),
        ({"sft": {"evaluations": -1}}, '"sft.evaluations" cannot be -1: it is a whole number of 0 or more'),
        ({"sft": {"lora": {"rank": 0}}}, '"sft.lora.rank" cannot be 0'),
        ({"sft": {"disguised": 1.5}}, '"sft.disguised" cannot be 1.5: it is a number from 0 to 1'),
        ({"sft": {"learning_rate": math.nan}}, '"sft.learning_rate" cannot be nan: it is a number above 0'),
        ({"reward": {"learning_rate": math.inf}}, '"reward.learning_rate" cannot be inf'),
        ({"finetune": {"our_learning_rate": 0}}, '"finetune.our_learning_rate" cannot be 0.0'),
    ],
)
def test_what_is_wrong_is_named(tmp_path, table, told):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(table))
    with pytest.raises(PersonaError) as caught:
        load_config(path)
    assert told in str(caught.value)


@pytest.mark.parametrize(("name", "text"), [("a.json", "{"), ("a.yaml", "a: ["), ("a.toml", "a ="), ("a.ini", "")])
def test_a_broken_file_is_the_users_mistake(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(PersonaError):
        load_config(tmp_path / name)


def test_every_number_has_a_range():
    """A new option that says nothing of what it may be would train with anything."""

    def numbers(cls):
        for name, kind in get_type_hints(cls, include_extras=True).items():
            if is_dataclass(kind):
                yield from numbers(kind)
            elif kind in (int, float):
                yield f"{cls.__name__}.{name}"

    assert list(numbers(Settings)) == []


def test_what_is_no_utf8_is_the_users_mistake(tmp_path):
    path = tmp_path / "config.toml"
    path.write_bytes(b'base = "\xff"')
    with pytest.raises(PersonaError, match=r"config\.toml: is no UTF-8"):
        load_config(path)


def test_an_absent_file_is_the_users_mistake(tmp_path):
    with pytest.raises(PersonaError, match="No such file"):
        load_config(tmp_path / "config.toml")
