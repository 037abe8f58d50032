"""Rows in one task's memory: counted and searched as they are in passes, to the same network."""

from itertools import combinations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import sparkml_dist as sd
from sparkml_dist.cluster.sums.in_order import sum_in_order
from sparkml_dist.errors import ConfigurationError, DataError, ResourceError
from sparkml_dist.graphical import learning_in_task
from sparkml_dist.graphical.counting.block_counts import Target
from sparkml_dist.graphical.counting.chosen_rows import BootstrapRows, CompleteRows, drawn
from sparkml_dist.graphical.counting.coded_rows import LocalRows
from sparkml_dist.graphical.counting.distinct_rows import distinct_rows
from sparkml_dist.graphical.counting.family_counts import FamilyCounts
from sparkml_dist.graphical.counting.held_rows import HeldRows
from sparkml_dist.graphical.counting.merged_rows import sums_of_merged
from sparkml_dist.graphical.counting.packed_rows import gathered_rows, packed_rows
from sparkml_dist.graphical.inference.sampling import sample_codes
from sparkml_dist.graphical.learning import FitPlan, learn_network
from sparkml_dist.graphical.parameters import Prior
from sparkml_dist.graphical.structure_learning import StructurePlan
from tests.graphical.networks import random_network, rows_of, table_of
from tests.long import cases


def _codes(network, n=800, missing=0.0, seed=0):
    rng = np.random.default_rng(seed)
    codes = sample_codes(network, n, rng).astype(np.int8)
    codes[rng.random(codes.shape) < missing] = -1
    return codes


@pytest.fixture(scope="module")
def network():
    return random_network(np.random.default_rng(4), 6)


@pytest.mark.parametrize("missing", [0.0, 0.2])
@pytest.mark.parametrize("times", [1, 1 << 23])  # the sums of the latter need float64
def test_counts_are_those_of_a_pass(network, missing, times):
    codes = _codes(network, missing=missing)
    held = FamilyCounts(HeldRows(network.variables, codes, np.full(len(codes), times)))
    passes = FamilyCounts(LocalRows(network.variables, codes, 3))
    for counts in (held, passes):
        counts.count_all(3)
    assert held.n_rows == times * passes.n_rows
    assert (held.missing == times * passes.missing).all()
    for size in (1, 2, 3, 4):
        for base in combinations(range(6), size):
            passes.count([Target(base)])
            assert held.knows(base)
            found, expected = held.base(base), times * passes.base(base)
            owner = np.repeat(np.arange(6), network.variables.cards)
            outside = ~np.isin(owner, base)  # a base's own columns have no meaning
            assert (found[:, outside] == expected[:, outside]).all()
            assert (held.table(base) == times * passes.table(base)).all()
    assert held.passes == 1


def test_what_has_too_many_cells_is_not_counted(network):
    codes = _codes(network)
    counts = FamilyCounts(HeldRows(network.variables, codes), most_cells=150)
    with pytest.raises(DataError, match=r"cells, more than 150"):
        counts.count_all(2)
    wide = FamilyCounts(HeldRows(network.variables, codes), most_cells=network.variables.states**2)
    wide.count_all(3)
    largest = tuple(np.argsort(network.variables.cards)[-4:].tolist())
    base = tuple(sorted(largest))
    assert wide.cells(Target(base)) > wide.most_cells and not wide.knows(base)
    with pytest.raises(DataError, match="cells"):
        wide.count([Target(base)])
    with pytest.raises(DataError, match="no rows"):
        FamilyCounts(HeldRows(network.variables, codes[:0])).count_all(2)


@pytest.mark.parametrize(
    "settings",
    [
        {"structure": "chow-liu"},
        {"structure": "tan", "target": "v0"},
        {"structure": "pc"},
        {"structure": "exact", "max_parents": 3},
        {"structure": "hill-climbing", "restarts": 3, "score": "k2"},
        {"structure": "fixed", "white": [("v0", "v1"), ("v2", "v1")]},
    ],
    ids=lambda s: s["structure"],
)
def test_every_learner_finds_the_same_in_both_forms(network, settings):
    codes = _codes(network, 400)
    plan = FitPlan(StructurePlan(**settings), Prior("bdeu", 10.0), bootstraps=2)
    there = learn_network(HeldRows(network.variables, codes), plan)
    passes = learn_network(LocalRows(network.variables, codes), plan)
    assert there.network.parents == passes.network.parents
    assert (there.network.flat_tables() == passes.network.flat_tables()).all()
    for name in ("score", "scores", "strengths"):
        assert there.facts[name] == passes.facts[name]
    assert there.facts["passes"] == 1


def test_alarm_is_searched_as_in_passes(shared_data):
    rows = rows_of(table_of(shared_data / "alarm.csv.gz"), blocks=8)
    plan = FitPlan(StructurePlan(), Prior())
    there = learn_network(HeldRows(rows.variables, rows.codes.astype(np.int8)), plan)
    passes = learn_network(rows, plan)
    assert there.network.parents == passes.network.parents
    assert there.facts["score"] == passes.facts["score"] >= -219975.17  # pyAgrum's


@pytest.mark.parametrize("missing", ["skip", "em"])
def test_missing_values_are_treated_alike(network, missing):
    codes = _codes(network, 300, missing=0.1)
    plan = FitPlan(StructurePlan(), Prior("k2", 1.0), missing=missing, max_iter=4)
    there = learn_network(HeldRows(network.variables, codes), plan)
    passes = learn_network(LocalRows(network.variables, codes, 2), plan)
    assert there.network.parents == passes.network.parents
    # Those of EM are sums of floats, in another order.
    assert there.network.flat_tables() == pytest.approx(passes.network.flat_tables(), rel=1e-10)


def test_chosen_rows_are_those_of_one_block(network):
    codes = np.tile(_codes(network, 500, missing=0.1), (3, 1))
    held = HeldRows(network.variables, codes)
    assert held.rows == len(codes) > len(held.codes)
    again = np.concatenate(list(held.blocks()))
    assert (distinct_rows(again, np.ones(len(again), int))[1] == held.weights).all()
    complete = CompleteRows(held).held()
    assert complete.rows == (codes >= 0).all(axis=1).sum()
    repeated = HeldRows(network.variables, np.repeat(codes, drawn(codes, 5, 2), axis=0))
    boot = BootstrapRows(held, 5, 2).held()
    assert (boot.codes == repeated.codes).all() and (boot.weights == repeated.weights).all()


@pytest.mark.parametrize("choose", [lambda r: r, CompleteRows, lambda r: BootstrapRows(r, 5, 1),
                                    lambda r: BootstrapRows(CompleteRows(r), 5, 1)])  # fmt: skip
def test_rows_are_chosen_of_merged_ones_as_of_held_ones(network, choose):
    """On executors, distinct rows lie in blocks, whichever: the draws are those of one task."""
    codes = np.tile(_codes(network, 300, missing=0.1), (4, 1)).astype(np.int16)
    asked = []

    class Merged(LocalRows):
        def sum(self, function, parameters=(), *, description=""):
            asked.append(description)
            rows, often = distinct_rows(self.codes, np.ones(len(self.codes), np.int64))
            parts = zip(np.array_split(rows, 3), np.array_split(often, 3), strict=True)
            return sum_in_order(
                value
                for part, weights in parts
                for value in sums_of_merged(function, parameters, part, weights)
            )

    counts = FamilyCounts(choose(Merged(network.variables, codes)))
    held = FamilyCounts(choose(HeldRows(network.variables, codes)))
    for either in (counts, held):
        either.count_all(2)
    assert asked and counts.n_rows == held.n_rows and (counts.missing == held.missing).all()
    for pair in ((0, 1), (2, 4)):
        assert (counts.table(pair) == held.table(pair)).all()


@pytest.mark.parametrize("parts", [1, 4])
@pytest.mark.long
def test_strengths_do_not_depend_on_where_copies_lie(spark, network, tmp_path, parts):
    codes = np.tile(_codes(network, 60), (5, 1))
    frame = pd.DataFrame(codes.astype(str), columns=list(network.variables.names))
    table = spark.createDataFrame(frame).repartition(parts)
    data = sd.partition(
        table,
        str(tmp_path / "shards"),
        label="v5",
        categorical=[f"v{i}" for i in range(5)],
        shards=2,
    )
    found = [
        sd.BayesianNetwork(numBootstraps=3, form=form).fit(rows).summary["strengths"]
        for form, rows in (
            ("task", table),
            ("jobs", table),
            ("jobs", data),
        )
    ]
    assert found[0] == found[1] == found[2] and found[0]


def _batches(frame, size):
    table = pa.Table.from_pandas(frame, preserve_index=False)
    return iter(table.to_batches(max_chunksize=size))


def test_rows_are_packed_and_put_together():
    frame = pd.DataFrame(
        {"a": ["1.0", "2", None, "1"] * 50, "b": ["x", "NaN", "y", "x"] * 50}, dtype=object
    )
    packed = list(packed_rows(_batches(frame, 30), names="ab", most_bytes=1 << 20))
    found = gathered_rows(iter(packed), names="ab", most_bytes=1 << 20)
    assert found.lists == [("1", "2"), ("x", "y")]  # 1.0 is 1, and NaN missing
    codes, weights = distinct_rows(found.codes, found.weights)
    assert dict(zip(map(tuple, codes.tolist()), weights.tolist(), strict=True)) == {
        (0, 0): 100, (1, -1): 50, (-1, 1): 50}  # fmt: skip
    for least, most in ((1 << 20, 10), (10, 1 << 20)):  # too many where they are, and together
        some = packed_rows(_batches(frame, 30), names="ab", most_bytes=most)
        found = gathered_rows(some, names="ab", most_bytes=least)
        assert found.codes is None and found.lists == [("1", "2"), ("x", "y")]


def test_values_that_no_network_takes_are_refused():
    many = pd.DataFrame({"a": [str(i) for i in range(40_000)]})
    with pytest.raises(DataError, match="more than 10,000"):
        gathered_rows(
            packed_rows(_batches(many, 5000), names="a", most_bytes=1 << 30),
            names="a", most_bytes=1 << 30)  # fmt: skip
    table = pa.table({"a": pa.array([b"\xff", b"a"], pa.binary())})
    with pytest.raises(DataError, match="UTF-8"):
        gathered_rows(
            packed_rows(iter(table.to_batches()), names="a", most_bytes=99999),
            names="a", most_bytes=99999)  # fmt: skip


@pytest.fixture(scope="module")
def table(spark):
    rng = np.random.default_rng(2)
    a = rng.integers(0, 3, 400)
    b = np.where(rng.random(400) < 0.8, a, rng.integers(0, 3, 400))
    c = (a + b + (rng.random(400) < 0.1)) % 4
    frame = pd.DataFrame({"a": a, "b": b, "c": c.astype(str), "d": rng.random(400) < 0.5})
    return spark.createDataFrame(frame).cache()


@pytest.mark.modes("connect")
def test_both_forms_give_one_network(table, tmp_path):
    """From one and eight partitions, and from shards."""
    first = sd.BayesianNetwork(form="jobs").fit(table)
    assert first.summary["form"] == "jobs" and first.summary["passes"] >= 1
    found = [sd.BayesianNetwork(form="task").fit(table.repartition(n)) for n in (1, 8)]
    data = sd.partition(
        table, str(tmp_path / "s"), label="d", categorical=["a", "b", "c"], shards=3
    )
    found += [sd.BayesianNetwork(form=f).fit(data) for f in ("auto", "jobs")]
    assert [m.summary["form"] for m in found] == ["task"] * 3 + ["jobs"]
    for model in found:
        assert model.arcs == first.arcs and model.summary["score"] == first.summary["score"]
        assert (model.network.flat_tables() == first.network.flat_tables()).all()


@pytest.mark.long
def test_more_rows_than_a_task_holds_are_counted_in_passes(table, monkeypatch, tmp_path):
    monkeypatch.setattr(learning_in_task, "_MOST_BYTES", {"auto": 99, "task": 999})
    found = sd.BayesianNetwork().fit(table)
    assert found.summary["form"] == "jobs"
    with pytest.raises(ResourceError, match="distinct rows") as caught:
        sd.BayesianNetwork(form="task").fit(table)
    assert caught.value.code == "rows_do_not_fit"
    data = sd.partition(
        table, str(tmp_path / "s"), label="d", categorical=["a", "b", "c"], shards=2
    )
    assert sd.BayesianNetwork().fit(data).summary["form"] == "jobs"
    with pytest.raises(ResourceError, match="distinct rows"):
        sd.BayesianNetwork(form="task").fit(data)
    with pytest.raises(ConfigurationError, match="form must be one of auto, jobs, task"):
        sd.BayesianNetwork(form="gang").fit(table)


@pytest.mark.parametrize("form", cases(["task", "jobs"], ["task"]))
def test_errors_of_the_task_are_the_usual_ones(spark, form):
    holes = spark.createDataFrame([("x", None), ("y", "u")], "a string, b string")
    with pytest.raises(DataError, match=r"missing values: b \(1\)"):
        sd.BayesianNetwork(form=form).fit(holes)
    with pytest.raises(DataError, match="no values at all"):
        sd.BayesianNetwork(form=form).fit(holes.where("a = 'x'"))
    with pytest.raises(DataError, match="no rows"):
        sd.BayesianNetwork(form=form).fit(holes.limit(0))
