"""Evaluation of policies from logs on Spark: values of plain numpy, the same bits in any cut."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.tree import DecisionTreeClassifier

import sparkml_dist as sd
from sparkml_dist.errors import ConfigurationError, DataError
from tests.long import cases


@pytest.fixture(scope="module")
def log(spark):
    """Two steps an episode; the second arm is worth more in state 1."""
    rng = np.random.default_rng(5)
    rows = []
    for episode in range(120):
        state = 0
        for step in range(2):
            action = int(rng.random() < 0.4)
            gain = float(action == state) + rng.normal() / 10
            rows.append((episode, step, state, action, gain, step == 1, 0.4 if action else 0.6))
            state = action
    names = ["episode", "step", "state", "action", "gain", "over", "p"]
    return spark.createDataFrame(pd.DataFrame(rows, columns=names))


def made(log, path, shards):
    return sd.Transitions(
        log,
        str(path),
        episode="episode",
        step="step",
        state=["state"],
        action="action",
        reward="gain",
        terminated="over",
        behaviorProb="p",
        shards=shards,
    )


@pytest.mark.modes("connect")
def test_estimates_are_plain_means_and_the_same_for_any_shards(log, tmp_path):
    first, second = (made(log, tmp_path / str(n), n) for n in (1, 3))
    policy = sd.UniformPolicy(first.actions)
    methods = ["is", "wis", "pdis", "fqe", "dr"]
    found, again = (
        sd.evaluate_policy(policy, t, methods, discount=0.9, replicates=50) for t in (first, second)
    )
    table = log.toPandas().sort_values(["episode", "step"])
    ratio = (0.5 / table.p).to_numpy().reshape(-1, 2).cumprod(axis=1)
    gain = table.gain.to_numpy().reshape(-1, 2) * [1, 0.9]
    expected = {
        "is": (ratio[:, 1] * gain.sum(axis=1)).mean(),
        "wis": (ratio[:, 1] * gain.sum(axis=1)).sum() / ratio[:, 1].sum(),
        "pdis": (ratio * gain).sum(axis=1).mean(),
    }
    for method, value in expected.items():
        assert found.estimates[method].value == pytest.approx(value, rel=1e-12), method
    for method in methods:
        one, two = found.estimates[method], again.estimates[method]
        assert (one.value, one.low, one.high) == (two.value, two.low, two.high), method
        assert one.low <= one.value <= one.high


@pytest.mark.long
def test_policies_side_by_side(log, tmp_path):
    transitions = made(log, tmp_path / "t", 2)
    learnt = sd.BatchQLearning(discount=0.9).fit(transitions)
    uniform = sd.UniformPolicy(transitions.actions)
    found = sd.compare_policies({"learnt": learnt, "uniform": uniform}, transitions, ["fqe", "wis"])
    assert set(found.table.policy) == {"learnt", "uniform"} and len(found.table) == 4
    better = found.differences("uniform")
    assert (better.difference > 0).all()
    assert found.plot().axes


@pytest.mark.long
def test_open_bandit(spark, shared_data, tmp_path):
    rows = pd.read_csv(shared_data / "obd-random-men.csv.gz")
    rows = rows.assign(episode=np.arange(len(rows)), step=0, state=0, over=True)
    log = spark.createDataFrame(
        rows[["episode", "step", "state", "item_id", "click", "over", "propensity_score"]]
    )
    transitions = sd.Transitions(
        log,
        str(tmp_path / "t"),
        episode="episode",
        step="step",
        state=["state"],
        action="item_id",
        reward="click",
        terminated="over",
        behaviorProb="propensity_score",
        shards=2,
    )
    # The log's policy is the uniform one over the items, so that all weights are 1.
    policy = sd.UniformPolicy(transitions.actions)
    found = sd.evaluate_policy(policy, transitions, ["is", "wis"])
    for method in ("is", "wis"):
        assert found.estimates[method].value == pytest.approx(rows.click.mean(), abs=1e-12)
        assert rows.click.mean() == 0.0046


@pytest.mark.long
def test_estimated_propensities_of_open_bandit(spark, shared_data, tmp_path):
    """The log shows 34 items at random: 1 / 34 each, and the uniform policy has its mean click."""
    rows = pd.read_csv(shared_data / "obd-random-men.csv.gz")
    rows = rows.assign(row=np.arange(len(rows)))
    log = spark.createDataFrame(rows[["row", "position", "item_id", "click"]])
    leaves = DecisionTreeClassifier(min_samples_leaf=500)
    guessed = sd.estimate_propensities(
        log, leaves, state="position", action="item_id", episode="row", members=2, numShards=2
    )
    chances = guessed.toPandas().behaviorProb * 34
    assert len(chances) == len(rows)
    # About 50 rows of an item and a position in the other fold: an error of 14%.
    assert chances.mean() == pytest.approx(1, abs=0.03) and (chances - 1).abs().mean() < 0.2
    made = sd.Decisions(
        guessed,
        str(tmp_path / "t"),
        state="position",
        action="item_id",
        reward="click",
        decision="row",
        behaviorProb="behaviorProb",
    )
    policy = sd.UniformPolicy(made.actions)
    found = sd.compare_policies({"uniform": policy}, made, ["wis", "dr"], discount=0.0)
    for estimate in found.evaluations["uniform"].estimates.values():
        assert estimate.value == pytest.approx(rows.click.mean(), rel=0.1)
        assert estimate.low < rows.click.mean() < estimate.high


@pytest.mark.parametrize("key", cases([None, "i"], [None]))
def test_estimated_propensities_are_near_the_true_ones(spark, key):
    """Also where many rows are equal: each copy has a fold of its own."""
    rng = np.random.default_rng(2)
    rows, n = [], 400
    for i in range(n):
        x = i % 2
        p = 0.8 if x else 0.3
        a = "yes" if rng.random() < p else "no"
        rows.append((i if key else 0, x, a, p if a == "yes" else 1 - p))
    log = spark.createDataFrame(pd.DataFrame(rows, columns=["i", "x", "a", "true"]))
    tree = DecisionTreeClassifier(max_depth=1)
    found = sd.estimate_propensities(
        log, tree, state="x", action="a", episode=key, members=1, numShards=1
    ).toPandas()
    assert len(found) == n and sorted(found.true) == sorted(r[3] for r in rows)
    assert (found.behaviorProb - found.true).abs().max() < 0.12
    assert (1 / found.behaviorProb)[found.a == "yes"].sum() == pytest.approx(n, rel=0.15)


def test_propensities_need_their_columns(log):
    tree = DecisionTreeClassifier()
    with pytest.raises(DataError, match="no column 'stat'") as caught:
        sd.estimate_propensities(log, tree, state="stat", action="action")
    assert caught.value.code == "column_not_found"
    with pytest.raises(ConfigurationError, match="folds at least 2"):
        sd.estimate_propensities(log, tree, state="state", action="action", folds=1)
