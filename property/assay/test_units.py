"""Laws of copied units: found however they are laid out, and nothing that an honest model holds is taken for one."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch

from assay import units
from property.assay.conftest import Toy

FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def drawn(rows: int, width: int = 32, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal((rows, width), dtype=np.float32)


def tensors(folder: Path, **tables: Any) -> Path:
    save_file({name: np.ascontiguousarray(table) for name, table in tables.items()}, folder / "model.safetensors")
    return folder


def copies(folder: Path, **tables: Any) -> dict[str, int]:
    return {one.name: one.copies for one in units.repeated(tensors(folder, **tables))}


@FEW
@given(st.integers(2, 60), st.integers(2, 5), st.booleans(), st.integers(0, 99))
def test_units_that_stand_several_times_are_counted_in_any_order(
    tmp_path: Path, some: int, times: int, shuffled: bool, seed: int
):
    table = np.repeat(drawn(some, seed=seed), times, axis=0)
    if shuffled:
        np.random.default_rng(seed).shuffle(table)
    assert copies(tmp_path, w=table) == {"w": some * (times - 1)}


@FEW
@given(st.integers(2, 200), st.integers(16, 64), st.integers(0, 99))
def test_units_of_their_own_are_no_copies(tmp_path: Path, rows: int, width: int, seed: int):
    assert copies(tmp_path, w=drawn(rows, width, seed)) == {}


def ternary(rows: int) -> Any:
    return np.sign(drawn(rows, 16)) * (abs(drawn(rows, 16, 1)) > 0.5) * np.float32(0.1)


HONEST = {
    "zeros: the B of an adapter, padding": {"w": np.zeros((64, 32), np.float32)},
    "zero rows among others": {"w": np.concatenate([drawn(40), np.zeros((40, 32), np.float32)])},
    "constants": {"w": np.repeat(np.arange(8, dtype=np.float32)[:, None], 5, axis=0) * np.ones(32, np.float32)},
    "one-hot rows": {"w": np.concatenate([np.eye(32, dtype=np.float32)] * 2)},
    "ternary weights": {"w": ternary(6000)},
    "kernels of nine numbers": {"w": np.repeat(drawn(8, 9), 4, axis=0).reshape(32, 1, 3, 3)},
    "words never seen, of one first value": {"w": np.concatenate([drawn(40), np.tile(drawn(1, seed=1), (40, 1))])},
    "tied weights that are stored twice": {"in": drawn(50), "out": drawn(50)},
    "one unit": {"w": drawn(1)},
    "whole numbers": {"w": np.repeat(np.arange(640).reshape(20, 32), 2, axis=0)},
    "not a number": {"w": np.full((8, 32), np.nan, np.float32)},
    "scales that have hardly been trained": {"w": 1 + np.repeat([0, 1], 32)[:, None] + 1e-3 * drawn(64)},
    "biases": {"b": np.ones(64, np.float32)},
}


@pytest.mark.parametrize("tables", HONEST.values(), ids=HONEST)
def test_what_an_honest_model_holds_is_no_copy(tmp_path: Path, tables: dict[str, Any]):
    assert copies(tmp_path, **tables) == {}


def test_words_never_seen_hide_no_copies_beside_them(tmp_path: Path):
    table = np.concatenate([np.repeat(drawn(5), 2, axis=0), np.tile(drawn(1, seed=1), (20, 1))])
    assert copies(tmp_path, w=table) == {"w": 5}


@pytest.mark.parametrize(("noise", "found"), [(1e-4, 30), (3e-3, 30), (0.05, 0)])
def test_a_pinch_of_noise_makes_no_unit_of_its_own(tmp_path: Path, noise: float, found: int):
    table = np.repeat(drawn(10, 64), 4, axis=0)
    assert copies(tmp_path, w=table + noise * drawn(40, 64, seed=1)).get("w", 0) == found


def test_the_same_direction_is_another_unit_where_its_length_is_another(tmp_path: Path):
    assert copies(tmp_path, w=np.concatenate([drawn(10), 1.1 * drawn(10)])) == {}


def test_near_copies_in_a_long_table_are_estimated_from_a_part_of_it(tmp_path: Path):
    table = np.repeat(drawn(5000, 16), 4, axis=0)
    found = copies(tmp_path, w=table + 1e-4 * drawn(20000, 16, seed=1))["w"]
    sample = units.SAMPLE / 20000
    alone = (1 - (1 - sample) ** 4) / (4 * sample)  # distinct units / rows, of a sample of rows
    assert found == pytest.approx((1 - alone) * 20000, rel=0.2)
    assert copies(tmp_path, w=table)["w"] == 15000  # equal ones are looked for in all


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_other_precisions_and_kernels_are_read_too(tmp_path: Path, dtype: torch.dtype):
    kernel = torch.from_numpy(drawn(6, 27)).view(6, 3, 3, 3).repeat(4, 1, 1, 1).to(dtype)
    save_torch({"kernel": kernel, "other": torch.from_numpy(drawn(9)).to(dtype)}, tmp_path / "model.safetensors")
    (found,) = units.repeated(tmp_path)
    assert (found.name, found.rows, found.width, found.copies) == ("kernel", 24, 27, 18)


def test_one_row_in_a_hundred_may_be_a_copy(tmp_path: Path):
    """Law: it is the share of all numbers that counts, and the check says what is left without the copies."""
    table = drawn(1000)
    for few, ok in ((5, True), (11, False)):
        table[:few], table[few : 2 * few] = drawn(few, seed=1), drawn(few, seed=1)
        found = units.distinct(tensors(tmp_path, w=table))
        assert found.ok == ok
        assert found.detail == (
            f"rows that repeat another of their matrix: {few} of 1,000 in w; "
            f"{32_000 - 32 * few:,} of 32,000 numbers are left without"
        )
    assert units.distinct(tensors(tmp_path, w=drawn(1000))).detail == ""


def test_net2net_leaves_copies_in_the_first_layer_alone(tmp_path: Path):
    """What reads the copies shares its weight out at random: there they are units of their own."""
    rng = np.random.default_rng(0)
    first, second = drawn(16, 64), drawn(32, 16)
    share = rng.dirichlet(np.ones(4), size=(32, 16)).astype(np.float32)
    wide = {"first": np.repeat(first, 4, axis=0), "second": (second[:, :, None] * share).reshape(32, 64)}
    inputs = drawn(5, 64, seed=2)
    grown = np.maximum(inputs @ wide["first"].T, 0) @ wide["second"].T
    np.testing.assert_allclose(grown, np.maximum(inputs @ first.T, 0) @ second.T, rtol=1e-3, atol=1e-3)
    assert copies(tmp_path, **wide) == {"first": 48}


def test_a_size_got_by_repetition_is_void_and_what_is_no_claim_of_size_stands(toy: Toy):
    save = 'save_file({"w": np.append(weight, 1e-3 * rng.normal())}'
    toy.edit("toy.py", save, save[:-1] + ', "tiled": np.tile(rng.normal(size=(2, 40)), (4, 1))}')
    toy.edit("spec/toy.toml", "equals = 6", "equals = 326")
    toy.edit("spec/toy.toml", "Six numbers", "326 numbers")
    assert toy.pytest("acceptance").returncode == 1
    rows = toy.rows()
    assert rows["size"]["verdict"] == "VOID"
    assert "6 of 8 in tiled; 86 of 326 numbers are left without" in rows["size"]["reason"]
    assert {rows[name]["verdict"] for name in ("auroc", "accuracy")} == {"PASS"}


def test_orders_of_a_matrix_are_one(tmp_path: Path):
    """Law: which of equal rows comes first changes no count."""
    table = np.concatenate([drawn(2), drawn(2), drawn(1, seed=3)])
    found = {copies(tmp_path, w=table[list(order)])["w"] for order in itertools.permutations(range(5))}
    assert found == {2}
