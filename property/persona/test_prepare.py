"""Files of training: what was asked for, never the test side, whole or not at all; mistakes told by file and line."""

from __future__ import annotations

import json

import pytest

from persona import prepare
from persona.errors import PersonaError
from persona.world import WORLD, chatter, generate, twins

FEW = {"chatter": 12, "train": 12, "dev": 10, "twins": 8, "twins_dev": 6}


def test_files_hold_what_the_world_says(tmp_path):
    files = prepare.write_world(tmp_path / "new", 3, FEW)
    rows = {name: prepare.read(path, "record_id", "dialogue") for name, path in files.items()}
    assert {name: len(found) for name, found in rows.items()} == FEW
    made = {
        "chatter": chatter(12, 3),
        "train": generate("train", 12, 3),
        "dev": generate("dev", 10, 3),
        "twins": twins("train", 8, 3),
        "twins_dev": twins("dev", 6, 3),
    }
    for name, found in rows.items():
        assert [row["record_id"] for row in found] == [row.record_id for row in made[name]]
        assert {row["split"] for row in found} == {"dev" if name in ("dev", "twins_dev") else "train"}
    assert not [path for path in (tmp_path / "new").iterdir() if path.suffix != ".jsonl"]


def test_no_test_value_is_written_outside_chatter(tmp_path):
    files = prepare.write_world(tmp_path, 0, {**FEW, "train": 200, "twins": 60})
    hidden = {f'"{value}"' for domain in WORLD.values.values() for value in (*domain["test"], *domain["novel"])}
    for name in ("train", "dev", "twins", "twins_dev"):
        told = json.dumps(
            [
                list(row["facts"].values()) if isinstance(row["facts"], dict) else row["answers"]
                for row in prepare.read(files[name])
            ]
        )
        assert not [value for value in hidden if value in told]


def test_an_unknown_file_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(PersonaError, match='no file "test"'):
        prepare.write_world(tmp_path / "out", 0, {"train": 5, "test": 5})
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('{"a": 1}\n{"a": ', "rows.jsonl:2: not JSON"),
        ('{"a": 1}\n[1]\n', "rows.jsonl:2: an object is needed, got list"),
        ('{"b": 1}\n', 'rows.jsonl:1: key "a" is missing; it has b'),
        ("", "holds no row"),
    ],
)
def test_a_damaged_file_is_told_by_line(tmp_path, content, told):
    path = tmp_path / "rows.jsonl"
    path.write_text(content)
    with pytest.raises(PersonaError, match=told):
        prepare.read(path, "a")


TEXTS = ["one.", "two."]


@pytest.mark.parametrize(
    ("key", "right", "wrong"),
    [
        ("persona", [[], TEXTS], ["i am a baker.", None, [3]]),
        ("dialogue", [TEXTS], ["hello!", None, {"a": 1}]),
        ("response", ["", "no."], [3, None, TEXTS]),
        ("personas", [[TEXTS, []]], [TEXTS, [TEXTS], None]),
        ("responses", [TEXTS], ["ab", ["one."], [1, 2]]),
    ],
)
def test_what_is_no_text_is_told_by_line(tmp_path, key, right, wrong):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({key: each}) + "\n" for each in right))
    assert [row[key] for row in prepare.read(path, key)] == right
    for each in wrong:
        path.write_text(json.dumps({key: each}))
        with pytest.raises(PersonaError, match=rf'rows\.jsonl:1: "{key}" is .*, got'):
            prepare.read(path, key)


def test_only_a_line_feed_ends_a_line(tmp_path):
    row = {"text": "a\u2028b\u2029c\x85d"}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row, ensure_ascii=False) + "\r\n" + json.dumps(row) + "\n")
    assert prepare.read(tmp_path / "rows.jsonl", "text") == [row, row]


def test_an_absent_file_and_an_absent_set_say_the_way_out(tmp_path):
    with pytest.raises(PersonaError, match="python -m persona prepare"):
        prepare.read(tmp_path / "none.jsonl")
    with pytest.raises(PersonaError, match="synthetic-persona-chat"):
        prepare.write_conversations(tmp_path / "out", tmp_path)
