"""Bandits from logs: closed forms in numpy, enumerated logs, equal rows, any cut into shards."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeRegressor

import sparkml_dist as sd
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.reinforcement.bandits.linear_policy import LinearBanditPolicy, chances_of_best
from sparkml_dist.reinforcement.bandits.linear_sums import fit_ridges
from sparkml_dist.reinforcement.bandits.pseudo_rewards import _Predictions
from sparkml_dist.reinforcement.evaluation.log_sums import MemoryLog
from sparkml_dist.reinforcement.evaluation.state_basis import StateFeatures
from tests.long import cases
from tests.reinforcement.written_transitions import block

COLUMNS = {"stateCols": ["x"], "actionCol": "a", "rewardCol": "r"}
#: Mean rewards of two actions in four states: no line fits the second one.
STATES = np.arange(4.0)
REWARDS = np.array([[1.0, 1.2, 1.4, 1.6], [0.0, 0.2, 0.4, 5.0]])
#: Probability of the second action: small where it is worth most.
CHANCES = np.array([0.8, 0.8, 0.75, 0.05])


@pytest.fixture(scope="module")
def enumerated(spark):
    """Each state and action as often as the behavior takes them: 20 equal rows at most."""
    rows = []
    for x, a in itertools.product(range(4), range(2)):
        p = CHANCES[x] if a else 1 - CHANCES[x]
        rows += [(float(x), "ab"[a], float(REWARDS[a, x]), float(p), 1.0)] * round(20 * p)
    names = ["x", "a", "r", "p", "w"]
    return spark.createDataFrame(pd.DataFrame(rows, columns=names))


def line(values, weights=None):
    """Return what ordinary least squares predicts for the states."""
    return LinearRegression().fit(STATES[:, None], values, weights).predict(STATES[:, None])


@pytest.mark.parametrize("method", cases(["dr", "ips", "dm"], ["dr"]))
def test_enumerated_log_gives_the_regression_on_true_rewards(enumerated, method):
    learner = sd.OffPolicyBandit(
        estimator=LinearRegression(), method=method, behaviorProbCol="p", numShards=1, **COLUMNS
    )
    found = learner.fit(enumerated).qValues(STATES[:, None])
    taken = np.array([1 - CHANCES, CHANCES])
    weights = taken if method == "dm" else [None, None]
    expected = np.column_stack([line(REWARDS[a], weights[a]) for a in (0, 1)])
    # Values are kept in single precision.
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    # The behavior hides the state where the second action is best from the direct method.
    assert (found[3].argmax() == 1) == (method != "dm")


@pytest.mark.modes("connect")
def test_equal_rows_are_fair_in_every_shard(enumerated):
    """Each copy of a row has a shard of its own, so that every shard sees every action."""
    made = sd.Decisions(enumerated, state="x", action="a", reward="r", behaviorProb="p", shards=3)
    blocks = [pd.concat([_table(b) for b in made.blocks(i)]) for i in range(3)]
    rows = pd.concat(blocks)
    counted = rows.groupby(["x", "a"]).size()
    assert len(rows) == 80 and counted[3.0, 0] == 19 and counted[3.0, 1] == 1
    for found in blocks:
        assert set(found.a) == {0, 1} and 15 <= len(found) <= 40
    assert made.n_episodes == 80
    model = sd.OffPolicyBandit(estimator=LinearRegression()).fit(made)
    assert model.act([3.0]) == "b"


@pytest.mark.long
@pytest.mark.parametrize("shards", [1, 2])
def test_no_reward_is_in_its_own_prediction(spark, shards, caplog):
    """A tree that follows its rows exactly has errors in other shards only; one shard is warned."""
    rng = np.random.default_rng(4)
    x, a, r = np.arange(60.0), rng.integers(0, 2, 60), rng.normal(size=60)
    log = spark.createDataFrame(pd.DataFrame({"x": x, "a": a, "r": r}).assign(p=0.5))
    tree = DecisionTreeRegressor(random_state=0)
    made = sd.Decisions(log, state="x", action="a", reward="r", behaviorProb="p", shards=shards)
    learner = sd.OffPolicyBandit(estimator=tree, seed=1)
    with caplog.at_level("WARNING"):
        learner.fit(made)
    assert ("one shard" in caplog.text) == (shards == 1)
    predict = _Predictions.of(learner._regression(final=False).fit(made))
    read = [list(made.blocks(i)) for i in range(shards)]
    for shard, blocks in enumerate(read):
        others = [b for i, found in enumerate(read) if i != shard for b in found] or blocks
        for rows in blocks:
            found = predict(shard, rows.state)[np.arange(len(rows)), rows.action]
            for value, action in zip(found, rows.action, strict=True):
                known = np.concatenate([b.reward[b.action == action] for b in others])
                # One of them to the last bit: an average with its own reward is none.
                assert np.float32(value) in known.astype(np.float32)


def _table(block):
    return pd.DataFrame({"x": block.state[:, 0], "a": block.action})


@pytest.mark.long
def test_weights_count_as_repetitions(spark, enumerated):
    kinds = enumerated.groupBy("x", "a", "r", "p").count().withColumnRenamed("count", "n")
    one, many = (
        sd.OffPolicyBandit(
            estimator=LinearRegression(), behaviorProbCol="p", numShards=1, **COLUMNS, **more
        ).fit(log)
        for log, more in ((enumerated, {}), (kinds, {"weightCol": "n"}))
    )
    states = STATES[:, None]
    np.testing.assert_allclose(one.qValues(states), many.qValues(states), atol=1e-6)


def linear_log(parts, seed=3, weight=False):
    rng = np.random.default_rng(seed)
    n = 90
    more = {"weight": rng.integers(1, 4, n).astype(float)} if weight else {}
    made = block(
        rng.normal(size=(n, 2)),
        rng.integers(0, 3, n),
        rng.normal(size=n),
        terminated=range(n),
        episode=np.arange(n),
        **more,
    )
    cuts = np.array_split(np.arange(n), parts)
    return MemoryLog([[made.take(rows)] for rows in cuts], ("a", "b", "c")), made


@pytest.mark.parametrize("weight", [False, True])
def test_linear_sums_are_the_closed_form_and_the_same_bits_for_any_shards(weight):
    log, rows = linear_log(1, weight=weight)
    found = fit_ridges(log, StateFeatures(2), 0.7)
    again = fit_ridges(linear_log(4, weight=weight)[0], StateFeatures(2), 0.7)
    for name in ("gram", "moment"):
        assert getattr(found, name).tobytes() == getattr(again, name).tobytes()
    x = np.column_stack([np.ones(len(rows)), rows.state])
    g = rows.weights()
    for a in range(3):
        mine = rows.action == a
        gram = 0.7 * np.eye(3) + (g[mine, None] * x[mine]).T @ x[mine]
        moment = (g[mine] * rows.reward[mine]) @ x[mine]
        np.testing.assert_allclose(found.gram[a], gram, rtol=1e-13, atol=1e-13)
        np.testing.assert_allclose(
            found.coefficients[a], np.linalg.solve(gram, moment), rtol=1e-11, atol=1e-13
        )


def test_upper_bounds_choose_as_published():
    found = fit_ridges(linear_log(2)[0], StateFeatures(2), 1.0)
    covariance = np.linalg.inv(found.gram)
    policy = LinearBanditPolicy(("a", "b", "c"), found.coefficients, covariance, 1.5, "optimism")
    states = np.random.default_rng(0).normal(size=(20, 2))
    for state, chances in zip(states, policy.probabilities(states), strict=True):
        x = np.append(1.0, state)
        bounds = [
            x @ theta + 1.5 * np.sqrt(x @ np.linalg.solve(gram, x))
            for theta, gram in zip(found.coefficients, found.gram, strict=True)
        ]
        assert chances.argmax() == np.argmax(bounds) and chances.max() == 1.0


def test_chances_of_the_best():
    mean = np.array([[0.0, 0.3], [0.0, 0.3], [1.0, 0.9], [2.0, 2.0], [5.0, 4.0]])
    spread = np.array([[1.0, 1.0], [1.0, 1e-4], [1e-6, 0.5], [0.1, 0.1], [0.0, 0.0]])
    found = chances_of_best(mean, spread)
    gap, total = mean[:4, 0] - mean[:4, 1], np.sqrt((spread[:4] ** 2).sum(axis=1))
    np.testing.assert_allclose(found[:4, 0], norm.cdf(gap / total), atol=1e-3)
    assert found[4].tolist() == [1.0, 0.0]
    mean, spread = np.array([[0.1, 0.0, 0.4, -1.0]]), np.array([[1.0, 0.2, 0.3, 3.0]])
    draws = np.random.default_rng(1).normal(mean, spread, (200_000, 4)).argmax(axis=1)
    shares = np.bincount(draws, minlength=4) / len(draws)
    np.testing.assert_allclose(chances_of_best(mean, spread)[0], shares, atol=4e-3)


@pytest.mark.long
def test_sampling_finds_the_best_arm_in_rounds(spark):
    """Decisions of the last model, logged with its probabilities, are what the next one learns."""
    rng = np.random.default_rng(7)
    truth = np.array([[0.2, 0.6], [0.6, -0.2]])
    rows, chances = [], np.full((1, 2), 0.5)
    for _ in range(4):
        x = rng.random(200)
        if rows:
            log = spark.createDataFrame(pd.DataFrame(rows, columns=["x", "a", "r", "p"]))
            model = sd.LinearThompsonSampling(exploration=0.3, numShards=1, **COLUMNS).fit(log)
            chances = model.probabilities(x[:, None])
        p = np.broadcast_to(chances, (200, 2))
        a = (rng.random(200) < p[:, 1]).astype(int)
        r = truth[a, 0] + truth[a, 1] * x + rng.normal(0, 0.3, 200)
        rows += list(zip(x, a, r, p[np.arange(200), a], strict=True))
    model = sd.LinearThompsonSampling(exploration=0.3, numShards=1, **COLUMNS).fit(log)
    assert model.act([0.1]) == 1 and model.act([0.9]) == 0
    found = sd.evaluate_policy(
        model,
        sd.Decisions(log, state="x", action="a", reward="r", behaviorProb="p"),
        ["dr"],
        replicates=50,
    )
    best = np.mean(np.maximum(0.2 + 0.6 * STATES / 3, 0.6 - 0.2 * STATES / 3))
    assert found.estimates["dr"].value == pytest.approx(best, abs=0.12)


def test_refusals(spark, enumerated):
    for learner, code in (
        (sd.OffPolicyBandit(**COLUMNS), "no_propensities"),
        (sd.OffPolicyBandit(method="mips", **COLUMNS), "invalid_param"),
        (sd.OffPolicyBandit(clip=0.0, **COLUMNS), "invalid_param"),
        (sd.LinUCB(alpha=0.0, **COLUMNS), "invalid_param"),
        (sd.LinearThompsonSampling(exploration=-1.0, **COLUMNS), "invalid_param"),
        (sd.LinUCB(actionCol="a", rewardCol="r"), "invalid_param"),
    ):
        with pytest.raises(ConfigurationError) as caught:
            learner.fit(enumerated)
        assert caught.value.code == code
