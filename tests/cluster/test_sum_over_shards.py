"""Sums over shards: the same bits for any number of tasks, integers exact, failures told."""

from __future__ import annotations

import math
import os
from functools import partial
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkml_dist.cluster.sums.exchange import LeafTask, _add_up, _read, _rows
from sparkml_dist.cluster.sums.in_order import sum_in_order
from sparkml_dist.cluster.sums.layout import Layout
from sparkml_dist.cluster.sums.over_rows import sum_over_groups, sum_over_partitions
from sparkml_dist.cluster.sums.over_shards import _shards_of_a_task, sum_over_shards
from sparkml_dist.cluster.sums.summation_tree import Node, SummationTree
from sparkml_dist.errors import ConfigurationError, DataError, TrainingError
from tests.long import cases

SHARDS = 22


def ill_conditioned(shard):
    """Numbers whose sum is far below their size: each shard almost undoes the one before."""
    rng = np.random.default_rng(shard // 2)
    x = rng.normal(size=50) * 10.0 ** rng.integers(-8, 9, 50)
    sign = 0.0 if shard == 4 else (-1.0) ** shard  # the shard after it is empty
    return sign * x + np.random.default_rng(1000 + shard).normal(size=50) * 1e-6


def summands(shard, factor=1.0):
    if shard == 5:  # empty
        return {"x": np.zeros(50), "rows": 0, "grid": np.zeros((2, 3), np.int32)}
    grid = np.full((2, 3), 2**52 + shard)
    return {"x": ill_conditioned(shard) * factor, "rows": True, "grid": grid}


def same(a, b):
    return a.keys() == b.keys() and all(
        a[k].dtype == b[k].dtype and a[k].shape == b[k].shape and a[k].tobytes() == b[k].tobytes()
        for k in a
    )


def in_one_process(function, shards=range(SHARDS)):
    """Add up as the tree says, written as a recursion and not as the code does."""

    def node(start, size):
        if size == 1:
            found = function(shards[start]) if start < len(shards) else None
            return found and {k: np.multiply(v, 1) for k, v in found.items()}
        left, right = node(start, size // 2), node(start + size // 2, size // 2)
        return left if right is None else {k: left[k] + right[k] for k in left}

    found = node(0, 2 ** math.ceil(math.log2(len(shards))))
    return {k: np.asarray(v, float if v.dtype == float else int) for k, v in found.items()}


@pytest.mark.modes
@pytest.mark.parametrize("tasks", [None, 1, 2, 3, 7, SHARDS])
def test_the_same_bits_for_any_number_of_tasks(spark, tasks):
    found = sum_over_shards(spark, SHARDS, summands, tasks=tasks)
    assert same(found, in_one_process(summands))
    assert found["rows"] == SHARDS - 1
    exact = sum(2**52 + s for s in range(SHARDS) if s != 5)
    assert (found["grid"] == exact).all()
    columns = np.stack([summands(s)["x"] for s in range(SHARDS)]).T
    condition = np.abs(columns).sum(axis=1) / np.abs(columns.sum(axis=1))
    assert np.median(condition) > 1e6
    for value, column in zip(found["x"], columns, strict=True):
        size = math.fsum(abs(column))
        bound = math.ceil(math.log2(SHARDS)) * np.finfo(float).eps / 2 * size
        assert abs(value - math.fsum(column)) <= bound


@pytest.mark.modes
def test_numbers_of_shards_and_parameters(spark):
    found = sum_over_shards(spark, [9, 2, 7], summands, (0.5,))
    expected = in_one_process(partial(summands, factor=0.5), [9, 2, 7])
    assert same(found, expected)
    assert sum_over_shards(spark, 0, summands) == {}
    assert sum_over_shards(spark, [], summands) == {}


def large(shard):
    values = np.random.default_rng(shard).normal(size=(3_700, 3_700))  # 109 MB
    values[:2000] = 0.0
    return {"gram": values, "first": values[2000, :3], "cells": np.arange(5) == shard}


@pytest.mark.long
def test_a_result_of_more_than_100_megabytes(spark):
    found = sum_over_shards(spark, 3, large)
    assert found["gram"].nbytes > 100e6
    expected = in_one_process(large, range(3))
    assert same(found, expected)


@pytest.mark.modes
def test_an_error_names_the_shard(spark):
    def broken(shard):
        if shard in (14, 16):
            raise DataError("odd_shard", f"it is {shard}", "leave it out")
        return {"x": 1 / (shard - 18)}

    with pytest.raises(DataError, match="Shard 14: it is 14") as caught:
        sum_over_shards(spark, [11, 14, 16, 18], broken)
    assert (caught.value.code, caught.value.hint) == ("odd_shard", "leave it out")
    with pytest.raises(TrainingError, match="Shard 18: ZeroDivisionError") as caught:
        sum_over_shards(spark, range(17, 20), broken)
    assert caught.value.code == "task_failed"
    assert "1 / (shard - 18)" in caught.value.trace


@pytest.mark.parametrize("tasks", cases([1, 8], [8]))
def test_what_cannot_be_added_up_is_refused(spark, tasks):
    def differ(shard):
        return {"x": np.zeros(3 if shard < 6 else 4)}

    def overflow(shard):
        return {"x": np.array([shard, 2**62 if shard in (2, 7) else 0])}

    with pytest.raises(ConfigurationError, match=r"Shard 6.*x: float64\[4\].*x: float64\[3\]"):
        sum_over_shards(spark, 8, differ, tasks=tasks)
    with pytest.raises(DataError, match="sum_overflow"):
        sum_over_shards(spark, 8, overflow, tasks=tasks)
    for wrong in ([1.0], {"x": "a"}, {"x": 1j}, {3: 1.0}):
        with pytest.raises(ConfigurationError, match="invalid_sums") as caught:
            sum_over_shards(spark, 1, lambda shard, wrong=wrong: wrong)
        assert "Shard 0" in caught.value.message


@pytest.mark.modes
def test_a_task_that_is_run_again_counts_once(spark, mode, tmp_path):
    if mode != "local-cluster":
        pytest.skip("a local master tries a task once")
    found = sum_over_shards(spark, SHARDS, partial(fails_once, str(tmp_path)), tasks=7)
    assert {f.name for f in tmp_path.iterdir()} == {"raised-4", "killed-13"}
    assert same(found, in_one_process(summands))


def fails_once(folder, shard):
    """Raise what may pass in shard 4, and kill the worker in shard 13, once each."""
    for name, number in (("raised", 4), ("killed", 13)):
        marker = os.path.join(folder, f"{name}-{number}")
        if shard == number and not os.path.exists(marker):
            with open(marker, "w"):
                pass
            if name == "killed":
                os._exit(7)
            raise OSError("once")
    return summands(shard)


@given(st.integers(1, 5000), st.integers(1, 300), st.none() | st.integers(1, 9))
def test_shards_of_a_task(shards, wanted, most):
    size = _shards_of_a_task(shards, most, wanted)
    tasks = math.ceil(shards / size)
    assert size.bit_count() == 1
    if most is None:
        assert min(shards, wanted) <= tasks or size == 1
        assert tasks <= 2 * wanted
    else:
        assert tasks <= most


# -- without Spark --------------------------------------------------------------------------


@given(
    st.integers(1, 40),
    st.lists(st.integers(0, 40), max_size=6),
    st.sets(st.integers(0, 39), max_size=30),
)
def test_the_tree_does_not_know_who_added_before(n, cuts, gone):
    """Any neighbouring leaves may be added up together first; gaps do not change that."""
    x = np.random.default_rng(n).normal(size=(n, 1)) * 10.0 ** np.arange(n)[:, None]
    there = [i for i in range(n) if i not in gone] or [0]
    ends = sorted({0, n, *(c for c in cuts if c < n)})
    whole = SummationTree()
    for start, end in pairwise(ends):
        part = SummationTree(start)
        for i in there:
            if start <= i < end:
                part.add(Node(i, 1, (x[i].copy(),)))
        for node in part.nodes:
            whole.add(node)

    def total(start, size):
        if size == 1:
            return x[start] if start in there else None
        left, right = total(start, size // 2), total(start + size // 2, size // 2)
        return right if left is None else left if right is None else left + right

    (found,) = whole.total()
    assert found.tobytes() == total(0, 64).tobytes()


def test_the_tree_holds_few_sums_and_counts_no_leaf_twice():
    tree = SummationTree()
    for i in range(1000):
        tree.add(Node(i, 1, (np.ones(1),)))
        assert len(tree.nodes) <= 10
    for start in (999, 3):
        with pytest.raises(ValueError, match="twice"):
            tree.add(Node(start, 1, (np.ones(1),)))
    assert tree.total()[0] == 1000


@given(st.integers(0, 300_000), st.floats(0, 1), st.integers(0, 5))
def test_rows_hold_what_was_cut_into_them(length, density, seed):
    rng = np.random.default_rng(seed)
    values = np.where(rng.random(length) < density, rng.normal(size=length), 0.0)
    layout, vectors = Layout.pack({"a": values, "b": (values > 0.5)[: length // 2], "c": 7})
    rows = list(_rows(Node(0, 1, vectors), layout.to_json()))
    found = _read(pa.Table.from_batches(list(_add_up(iter(rows)))), str)
    assert found["a"].tobytes() == values.tobytes()
    assert found["b"].sum() == (values > 0.5)[: length // 2].sum()
    assert found["c"] == 7


def test_a_function_may_return_the_same_array_each_time():
    kept = np.ones(3)
    assert sum_in_order({"x": kept} for _ in range(5))["x"].tolist() == [5.0, 5.0, 5.0]
    assert kept.tolist() == [1.0, 1.0, 1.0]
    assert sum_in_order([]) == {}


def test_signs_of_zero_and_infinities():
    found = sum_in_order({"x": [-0.0, np.inf, np.inf, np.nan]} for _ in range(2))["x"]
    assert not np.signbit(found[0])
    assert found[1:3].tolist() == [np.inf, np.inf] and np.isnan(found[3])


def test_a_passing_error_is_raised_again_while_tries_are_left(monkeypatch):
    def broken():
        raise OSError("once")

    monkeypatch.setattr("sparkml_dist.cluster.sums.exchange.is_last_attempt", lambda _: False)
    with pytest.raises(OSError, match="once"):
        list(LeafTask(4, 1).rows([(0, broken)]))


# -- rows of a DataFrame --------------------------------------------------------------------


def of_batches(batches):
    found = {"x": 0.0, "rows": 0}
    for batch in batches:
        found["x"] += float(np.sum(1 / (1.0 + batch.column(0).to_numpy())))
        found["rows"] += batch.num_rows
    return found


@pytest.mark.modes
def test_partitions(spark):
    df = spark.range(0, 1000, 1, 6)
    found = sum_over_partitions(df, of_batches)
    bounds = [i * 1000 // 6 for i in range(7)]
    ids = [np.arange(a, b) for a, b in pairwise(bounds)]
    expected = in_one_process(
        lambda p: {"x": np.sum(1 / (1.0 + ids[p])), "rows": len(ids[p])}, range(6)
    )
    assert same(found, expected)
    none = sum_over_partitions(spark.createDataFrame([], "id long"), of_batches)
    assert none == {"x": 0.0, "rows": 0}

    def broken(batches):
        raise ValueError("no")

    with pytest.raises(TrainingError, match="Partition 0: ValueError: no"):
        sum_over_partitions(df, broken)


@pytest.mark.modes
def test_groups_do_not_depend_on_partitions(spark):
    def of_group(table):
        ids = np.sort(table.column("id").to_numpy())
        return {"x": np.sum(1 / (3.0 + ids)), "rows": len(ids)}

    for partitions in (1, 5):
        df = spark.range(0, 900, 1, partitions).selectExpr("id", "int(pow(id % 30, 2)) AS block")
        found = sum_over_groups(df, "block", of_group)
        tree = SummationTree()
        for block in range(30):
            value = np.sum(1 / (3.0 + np.arange(block, 900, 30)))
            tree.add(Node(block**2, 1, (np.array([value]),)))
        assert found["rows"] == 900
        assert found["x"].tobytes() == tree.total()[0].tobytes()
    assert sum_over_groups(df.where("id < 0"), "block", of_group) == {}
