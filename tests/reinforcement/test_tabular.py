"""Tabular learners on Spark: against numpy, weights, shards, and what textbooks prescribe."""

from __future__ import annotations

import numpy as np
import pytest

from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.models.loading import load_model
from sparkml_dist.reinforcement import (
    SARSA,
    BatchQLearning,
    DoubleQLearning,
    ExpectedSARSA,
    QLearning,
    Transitions,
    explore,
    learn_live,
)
from tests.long import cases
from tests.reinforcement.processes import GAMMA, entries, process_of, starts, value_of

COLUMNS = {
    "stateCols": ["s"],
    "actionCol": "a",
    "rewardCol": "r",
    "nextStateCols": ["n"],
    "terminatedCol": "t",
}
SCHEMA = "s int, a int, r double, n int, t boolean, p double"
NAMED = {
    "state": "state",
    "action": "action",
    "reward": "reward",
    "episode": "episode",
    "step": "step",
    "terminated": "terminated",
    "truncated": "truncated",
}


def bits(array):
    return np.ascontiguousarray(array).view(np.int64)


@pytest.fixture(scope="module")
def lake(spark):
    return spark.createDataFrame(entries("FrozenLake-v1"), SCHEMA).repartition(3).cache()


@pytest.fixture(scope="module")
def played(spark):
    return explore(spark, "FrozenLake-v1", episodes=300, seed=5).repartition(3).cache()


@pytest.fixture(scope="module")
def made(played):
    return Transitions(played, **NAMED, shards=3)


@pytest.mark.modes
def test_probabilities_as_weights_give_the_values_of_the_process(lake, spark, tmp_path):
    model = BatchQLearning(**COLUMNS, weightCol="p").fit(lake)
    assert model.q[0] == pytest.approx([0.54202593, 0.52776243, 0.52776243, 0.52234217], abs=1e-8)
    assert np.nanmax(model.q, axis=1).sum() == pytest.approx(6.33981954, abs=1e-8)
    model.save(str(tmp_path / "m"))
    loaded = load_model(str(tmp_path / "m"))
    rows = loaded.transform(spark.createDataFrame([(0,), (99,)], "s int")).collect()
    assert rows[0].qValues.toArray() == pytest.approx(model.q[0])
    assert (rows[0].action, rows[0].actionProbability) == (model.act(0), 1.0)
    assert np.isnan(rows[1].qValues.toArray()).all()
    assert rows[1].actionProbability == 0.25


@pytest.mark.long
@pytest.mark.parametrize("unit", [1.0, 3e15, 1e-4])
def test_shards_give_the_bits_of_the_plain_count(lake, unit):
    # Rewards that the first exponent does not fit are counted once more.
    lake = lake.selectExpr("s", "a", f"(r - 0.3) * {unit}D AS r", "n", "t", "p")
    first = BatchQLearning(**COLUMNS, weightCol="p").fit(lake)
    data = Transitions(
        lake, state="s", action="a", reward="r", nextState="n", terminated="t", weight="p", shards=2
    )
    assert np.array_equal(bits(BatchQLearning().fit(data).q), bits(first.q))
    plain = BatchQLearning(**COLUMNS, weightCol="p").fit(lake.withColumn("r", lake["r"] / unit))
    assert first.q / unit == pytest.approx(plain.q, abs=1e-5)


def test_the_number_of_shards_changes_no_bit(played, made):
    first = BatchQLearning().fit(made)
    other = BatchQLearning().fit(Transitions(played, **NAMED, shards=1))
    assert np.array_equal(bits(first.q), bits(other.q))
    assert first.startValue == other.startValue
    assert first.start.tolist() == [1.0] + [0.0] * (len(first.start) - 1)
    # The last row of an episode that was cut off has no next state, and is left out.
    assert first.summary["transitions"] == made.summary["transitions"]
    names = ("state", "action", "qValue", "actionProbability", "rows")
    assert tuple(first.table().column_names) == names


def test_words_as_states_and_actions(spark):
    rows = [("cold", "heat", -1.0, "warm", False), ("warm", "wait", 2.0, "", True)]
    schema = "s string, a string, r double, n string, t boolean"
    model = BatchQLearning(**COLUMNS, discount=0.5).fit(spark.createDataFrame(rows, schema))
    assert model.schema.columns[0].categories == ("cold", "warm")
    assert model.actions == ("heat", "wait")
    assert np.array_equal(model.q, [[0.0, np.nan], [np.nan, 2.0]], equal_nan=True)
    assert model.table().to_pylist()[0]["s"] == "cold"
    found = model.transform(spark.createDataFrame(rows, schema)).select("action").collect()
    assert [r.action for r in found] == ["heat", "wait"]
    assert (model.act("warm"), model.act(["cold"])) == ("wait", "heat")
    assert np.array_equal(model.qValues(["warm", "cold"]), model.q[::-1], equal_nan=True)
    assert np.isnan(model.qValues([["hot"], [None]])).all()
    with pytest.raises(ConfigurationError, match="1 features. Got 2"):
        model.act(["cold", "warm"])


@pytest.mark.long
def test_words_that_look_like_numbers_or_truths_are_found_again(spark):
    rows = [("1.0", "a", 1.0, "True", False), ("True", "b", 2.0, "", True)]
    log = spark.createDataFrame(rows, "s string, a string, r double, n string, t boolean")
    model = BatchQLearning(**COLUMNS, discount=0.5).fit(log)
    found = model.transform(log).select("action", "actionProbability").collect()
    assert [tuple(r) for r in found] == [("a", 1.0), ("b", 1.0)]
    assert (model.act("1.0"), model.act("1")) == ("a", "a")


WRONG = [
    ("reward_not_finite", (0, 0, float("inf"), 1, False, 1.0)),
    ("weight_negative", (0, 0, 1.0, 1, False, -1.0)),
    ("action_null", (0, None, 1.0, 1, False, 1.0)),
    ("state_missing", (None, 0, 1.0, 1, False, 1.0)),
]


@pytest.mark.parametrize(("code", "row"), cases(WRONG, WRONG[1:2]))
def test_wrong_rows_of_a_plain_table_are_refused(spark, code, row):
    log = spark.createDataFrame([(0, 1, 1.0, 1, True, 1.0), row], SCHEMA)
    with pytest.raises(DataError) as found:
        BatchQLearning(**COLUMNS, weightCol="p").fit(log)
    assert found.value.code == code


def test_endless_episodes_need_a_discount(spark):
    log = spark.createDataFrame([(0, 0, 1.0, 1, False, 1.0), (1, 0, 1.0, 0, False, 1.0)], SCHEMA)
    with pytest.raises(ConfigurationError, match="endless_episodes"):
        BatchQLearning(**COLUMNS, discount=1.0).fit(log)
    with pytest.raises(ConfigurationError, match="invalid_param"):
        BatchQLearning(**COLUMNS, discount=1.1).fit(log)


def textbook(made, rule, rate=0.1, epsilon=0.1):
    """Return values of the updates as a textbook writes them, in the order of the shards."""
    blocks = [b for s in range(len(made.shards)) for b in made.blocks(s)]
    states = np.unique(
        np.concatenate([np.r_[b.state[:, 0], b.next_state[b.has_next, 0]] for b in blocks])
    )
    q = np.zeros((len(states), len(made.actions)))
    seen = np.zeros(q.shape, bool)
    for block in blocks:
        for i in np.flatnonzero(block.usable):
            s = int(np.searchsorted(states, block.state[i, 0]))
            a = block.action[i]
            target = block.reward[i]
            if not block.terminated[i]:
                after = q[np.searchsorted(states, block.next_state[i, 0])]
                if rule == "sarsa":
                    if block.next_action[i] < 0:
                        continue
                    value = after[block.next_action[i]]
                elif rule == "expected":
                    value = (1 - epsilon) * after.max() + epsilon * after.mean()
                else:
                    value = after.max()
                target += GAMMA * value
            seen[s, a] = True
            q[s, a] += rate * (target - q[s, a])
    return np.where(seen, q, np.nan)


RULES = [(QLearning, "q"), (SARSA, "sarsa"), (ExpectedSARSA, "expected")]


@pytest.mark.parametrize(("learner", "rule"), cases(RULES, RULES[1:2]))
def test_learners_along_a_log_make_the_updates_of_textbooks(made, learner, rule):
    model = learner(learningRate=0.1).fit(made)
    assert model.q == pytest.approx(textbook(made, rule), abs=1e-12, nan_ok=True)


@pytest.mark.long
def test_double_q_learning_and_shards(played, made):
    first = DoubleQLearning(epochs=2, seed=3).fit(made)
    other = DoubleQLearning(epochs=2, seed=3).fit(Transitions(played, **NAMED, shards=1))
    assert np.array_equal(bits(first.q), bits(other.q))


@pytest.mark.long
def test_q_learning_with_falling_rates_comes_near_the_exact_values(spark):
    log = explore(spark, "FrozenLake-v1", episodes=20_000, seed=2).cache()
    made = Transitions(log, **NAMED, shards=2)
    exact = BatchQLearning().fit(made)
    learnt = QLearning(learningRate=1.0, rateDecay=0.6, epochs=5).fit(made)
    assert np.nanmax(np.abs(learnt.q - exact.q)) < 0.05


def test_episodes_are_the_same_in_any_number_of_tasks(spark):
    def rows(tasks):
        log = explore(spark, "CartPole-v1", episodes=6, maxSteps=9, tasks=tasks, seed=1)
        return sorted(log.collect())

    first = rows(1)
    assert first == rows(3)
    assert {r.behaviorProb for r in first} == {0.5}
    assert all(r.truncated == (r.step == 8 and not r.terminated) for r in first)


def test_environments_that_do_not_exist_are_refused(spark):
    with pytest.raises(ConfigurationError, match="environment_unknown"):
        explore(spark, "FrozenLakes-v9", episodes=1)
    with pytest.raises(ConfigurationError, match="invalid_param"):
        explore(spark, "Pendulum-v1", episodes=1)


@pytest.mark.long
@pytest.mark.parametrize("exploration", ["epsilon", "softmax", "ucb"])
def test_learning_from_environments(spark, exploration):
    model = learn_live(
        spark,
        "FrozenLake-v1",
        rounds=8,
        episodes=400,
        exploration=exploration,
        temperature=0.05,
        bonus=0.3,
        epsilon=0.2,
        seed=1,
    )
    policy = model.probabilities(np.arange(16.0)[:, None])
    assert value_of("FrozenLake-v1", policy, GAMMA) >= 0.5


@pytest.mark.long
@pytest.mark.parametrize("kind", ["quantile", "kmeans", "tree"])
def test_cells_of_continuous_states(spark, kind, tmp_path):
    log = explore(spark, "CartPole-v1", episodes=800, seed=1).cache()
    cells = []
    for shards in (1, 4):
        made = Transitions(log, **NAMED, nextState="nextState", shards=shards)
        learner = BatchQLearning(discretizer=kind, numCells=6 if kind == "quantile" else 200)
        cells.append(learner.fit(made))
    assert np.array_equal(bits(cells[0].q), bits(cells[1].q))
    cells[0].save(str(tmp_path / "m"))
    loaded = load_model(str(tmp_path / "m"))
    states = np.random.default_rng(0).normal(size=(50, 4)) / 10
    assert np.array_equal(loaded.qValues(states), cells[0].qValues(states), equal_nan=True)
    played = explore(spark, "CartPole-v1", loaded.to_local(), episodes=50, seed=9)
    mean = played.groupBy("episode").count().agg({"count": "avg"}).first()[0]
    assert mean > 40  # at random it is about 22


@pytest.mark.long
def test_the_lake_from_two_hundred_thousand_random_steps(spark):
    log = explore(spark, "FrozenLake-v1", episodes=27_000, seed=11).limit(200_000)
    model = BatchQLearning(
        stateCols=["state"], nextStateCols=["nextState"], terminatedCol="terminated"
    ).fit(log)
    policy = model.probabilities(np.arange(16.0)[:, None])
    assert value_of("FrozenLake-v1", policy, GAMMA) >= 0.53


@pytest.mark.long
def test_the_taxi_from_two_million_random_steps(spark):
    rng = np.random.default_rng(4)
    rows = entries("Taxi-v4")
    table = {(r[0], r[1]): r for r in rows}
    starting = starts("Taxi-v4")
    counted = {}
    states = rng.choice(len(starting), 20_000, p=starting)
    for _ in range(100):
        actions = rng.integers(0, 6, len(states))
        fresh = rng.choice(len(starting), len(states), p=starting)
        for i, (s, a) in enumerate(zip(states.tolist(), actions.tolist(), strict=True)):
            row = table[s, a]
            counted[row] = counted.get(row, 0) + 1
            states[i] = fresh[i] if row[4] else row[3]
    log = spark.createDataFrame([(*r[:5], float(n)) for r, n in counted.items()], SCHEMA)
    model = BatchQLearning(**COLUMNS, weightCol="p").fit(log)
    policy = model.probabilities(np.arange(500.0)[:, None])
    policy = np.nan_to_num(policy)
    assert value_of("Taxi-v4", policy, GAMMA) >= 6.2
    assert process_of("Taxi-v4").count.shape[1] == 6


@pytest.mark.long
def test_sweeps_over_shards_find_the_same_values(played):
    exact = BatchQLearning(discount=0.8).fit(Transitions(played, **NAMED, shards=1))
    found = []
    for shards in (1, 3):
        made = Transitions(played, **NAMED, shards=shards)
        found.append(BatchQLearning(discount=0.8, form="jobs", tol=1e-9).fit(made))
    assert np.array_equal(bits(found[0].q), bits(found[1].q))
    assert found[0].q == pytest.approx(exact.q, abs=1e-8, nan_ok=True)
    assert found[0].startValue == pytest.approx(exact.startValue, abs=1e-8)
