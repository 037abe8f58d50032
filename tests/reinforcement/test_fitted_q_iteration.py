"""Fitted Q iteration: sweeps of value iteration, targets and residuals by hand, and faults."""

from __future__ import annotations

from itertools import count

import numpy as np
import pytest
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import KNeighborsRegressor
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from sparkml_dist import FittedQIteration, load_model
from sparkml_dist.dataset.subsets import Validation
from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.learners.known_learner import KnownLearner
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.reinforcement.action_values import ActionValues, members_of
from sparkml_dist.reinforcement.fitted_iteration import IterationTask, best_values
from sparkml_dist.reinforcement.transition_block import TransitionBlock
from tests.long import cases
from tests.reinforcement.written_transitions import block, frozen_lake, written


def _learner(data, estimator, *, per_action):
    fit = FittedQIteration(estimator=estimator, perAction=per_action)
    return fit._known(data)


def _iterations(
    data,
    folder,
    estimator,
    number,
    *,
    per_action=False,
    halves=1,
    held_out=None,
    advantage=0.0,
    discount=0.99,
):
    """Run iterations as the tasks of a fit would; yield the values and notes of each."""
    learner: KnownLearner = _learner(data, estimator, per_action=per_action)
    values = None
    for iteration in range(number):
        home = Folder.at(folder).child(f"iteration-{iteration}")
        home.create()
        task = IterationTask(
            data,
            home,
            learner,
            values,
            discount,
            per_action,
            halves,
            held_out,
            iteration,
            0,
            1,
            advantage=advantage,
        )
        notes = [task(index) for index in range(task.tasks)]
        records = [record for note in notes for record in note["members"]]
        names = tuple(data.schema.state.feature_names)
        values = ActionValues(home, members_of(records), data.schema.n_actions, names)
        yield values, notes, task


@pytest.mark.parametrize(
    ("per_action", "number"), [(False, 10), pytest.param(True, 50, marks=pytest.mark.long)]
)
def test_an_iteration_is_a_sweep_of_value_iteration(tmp_path, per_action, number):
    pytest.importorskip("gymnasium")
    data = written(tmp_path / "data", [frozen_lake()], range(4), weight=True)
    # A tree that separates all states and actions is a table.
    runs = _iterations(data, tmp_path, DecisionTreeRegressor(), number, per_action=per_action)
    known = {10: 0.03840586, 20: 0.17423639, 50: 0.42511271}
    for iteration, (values, _, _) in zip(count(1), runs, strict=False):
        if iteration in known:
            best = best_values(values.load(), np.zeros((1, 1)), None)
            assert best[0] == pytest.approx(known[iteration], abs=1e-8)


@pytest.mark.parametrize("per_action", cases([False, True], [False]))
def test_advantage_learning_keeps_the_best_values_and_widens_the_gaps(tmp_path, per_action):
    # From state 0 action 0 leads to state 1; every other action ends the episode.
    parts = [
        block([0, 1], [0, 0], [0.0, 1.0], terminated=[1]),
        block([1, 0, 1], [1, 1, 1], [0.2, 0.5, 0.2], terminated=[0, 1, 2], episode=[1, 2, 3]),
    ]
    joined = TransitionBlock.concat(parts)
    data = written(tmp_path / "data", [joined], range(2))
    exact = np.array([[0.99, 0.5], [1.0, 0.2]])
    best = exact.max(axis=1, keepdims=True)
    for advantage, number in ((0.0, 2), (0.5, 18)):
        home = tmp_path / str(advantage)
        *_, (values, _, _) = _iterations(
            data,
            home,
            DecisionTreeRegressor(),
            number,
            per_action=per_action,
            advantage=advantage,
        )
        found = values.load().q_values([[0.0], [1.0]])
        assert found == pytest.approx(best - (best - exact) / (1 - advantage), abs=1e-4)


def test_values_are_means_over_shards_and_residuals_are_of_held_out_episodes(tmp_path):
    parts = [
        block(
            np.arange(12) % 3 + shift,
            np.arange(12) % 2,
            np.arange(12) + shift,
            episode=np.repeat(np.arange(4) + 10 * shift, 3),
            terminated=[2, 5, 8, 11],
        )
        for shift in range(2)
    ]
    data = written(tmp_path / "data", parts, range(2))
    held_out = Validation(0.4, 3)
    line = LinearRegression()
    (one, _, _), (two, notes, task) = _iterations(data, tmp_path, line, 2, held_out=held_out)

    def design(states, actions):
        return np.hstack([states, np.eye(2)[actions]])

    def predicted(fits, states):
        return np.mean(
            [
                np.stack([f.predict(design(states, [a] * len(states))) for a in (0, 1)], axis=1)
                for f in fits
            ],
            axis=0,
        )

    chosen = [p.take(~held_out.mask(p.episode)) for p in parts]
    first = [LinearRegression().fit(design(c.state, c.action), c.reward) for c in chosen]
    states = np.linspace(0, 4, 7)[:, None]
    assert one.load().q_values(states) == pytest.approx(predicted(first, states), abs=1e-5)

    def goals(part):
        goal = part.reward.copy()
        on = ~part.terminated
        goal[on] += 0.99 * predicted(first, part.next_state[on]).max(axis=1)
        return goal

    second = [LinearRegression().fit(design(c.state, c.action), goals(c)) for c in chosen]
    assert two.load().q_values(states) == pytest.approx(predicted(second, states), abs=1e-4)

    kept = [p.take(held_out.mask(p.episode)) for p in parts]
    for part, note in zip(kept, notes, strict=True):
        off = goals(part) - predicted(first, part.state)[np.arange(len(part)), part.action]
        wanted = [len(part), np.square(off).sum(), np.square(goals(part)).sum()]
        assert note["residual"] == pytest.approx(wanted, rel=1e-5)
    assert sum(n["residual"][0] for n in notes) > 0

    # A task whose work is committed does nothing again, and one whose note is lost the same again.
    file = task.folder.path("members/member-00001.skops")
    with open(file, "rb") as stream:
        before = stream.read()
    task.folder.child("members").delete_file("member-00001.skops")
    assert task(1) == notes[1]
    assert not task.folder.exists("members/member-00001.skops")
    task.folder.delete_file(task.note(1))
    task(1)
    with open(file, "rb") as stream:
        assert stream.read() == before


class _Halves:
    """Values that differ between the halves."""

    def __init__(self, *halves):
        self._halves = np.array(halves, float)

    def q_values(self, states, half=None):
        found = self._halves.mean(axis=0) if half is None else self._halves[half]
        return np.tile(found, (len(states), 1))


def test_one_half_chooses_and_the_other_values():
    values, state = _Halves([1, 5, 2], [7, 3, 4]), np.zeros((1, 1))
    assert best_values(values, state, None) == [4.0]
    assert best_values(values, state, None, half=0) == [3.0]
    assert best_values(values, state, None, half=1) == [1.0]
    available = np.array([[False, False, True]])
    assert best_values(values, state, available) == [3.0]
    # An action that no regressor knows is not taken; where none is known, nothing follows.
    unknown = _Halves([np.nan, 1, np.nan], [np.nan, 2, np.nan])
    assert best_values(unknown, state, None) == [1.5]
    assert best_values(unknown, state, available) == [0.0]


def test_double_q_learning_has_members_of_each_half(tmp_path):
    part = block(
        np.arange(40),
        np.arange(40) % 2,
        np.ones(40),
        episode=np.repeat(range(20), 2),
        terminated=range(1, 40, 2),
    )
    data = written(tmp_path / "data", [part], range(2))
    tree = DecisionTreeRegressor()
    (values, notes, _), *_ = _iterations(data, tmp_path, tree, 2, halves=2)
    assert [m.half for m in values.members] == [0, 1]
    assert sum(n["rows"] for n in notes) == 40 and min(n["rows"] for n in notes) > 5


# -- with Spark ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def log(spark):
    """A corridor of five places: a step to the right ends at a prize, to the left at nothing."""
    rng = np.random.default_rng(0)
    rows = []
    for episode in range(60):
        place = 2
        for step in range(30):
            move = int(rng.integers(2))
            place += 1 if move else -1
            over = place in (0, 4)
            rows.append(
                (
                    episode,
                    step,
                    float(place - (1 if move else -1)),
                    ["left", "right"][move],
                    float(place == 4),
                    over,
                )
            )
            if over:
                break
    return spark.createDataFrame(
        rows, "episode int, step int, place double, action string, reward double, over boolean"
    )


COLUMNS = {
    "episodeCol": "episode",
    "stepCol": "step",
    "stateCols": ["place"],
    "terminatedCol": "over",
    "numShards": 2,
}


def test_a_log_becomes_a_policy(spark, log, tmp_path):
    tree = DecisionTreeRegressor(random_state=0)
    model = FittedQIteration(estimator=tree, maxIter=6, discount=0.5, **COLUMNS).fit(log)
    values = model.qValues([[1.0], [2.0], [3.0]])
    assert values[:, 1] == pytest.approx([0.25, 0.5, 1.0], abs=1e-9)
    assert values[:, 0] == pytest.approx([0.0, 0.125, 0.25], abs=1e-9)
    assert model.summary["residuals"][-1] == pytest.approx(0.0, abs=1e-6)
    model.save(str(tmp_path / "model"))
    loaded = load_model(str(tmp_path / "model"))
    states = spark.createDataFrame([(1.0,), (3.0,)], "place double")
    rows = loaded.transform(states).collect()
    assert [r.action for r in rows] == ["right", "right"]
    assert [list(r.qValues) for r in rows] == values[[0, 2]].tolist()


@pytest.mark.long
def test_a_fit_that_was_killed_resumes_with_the_same_result(log, tmp_path, monkeypatch):
    settings = {"maxIter": 5, "validationFraction": 0.2, "doubleQ": True, **COLUMNS}
    through = FittedQIteration(modelDir=str(tmp_path / "a"), **settings).fit(log)
    broken = FittedQIteration(modelDir=str(tmp_path / "b"), **settings)
    iterate, calls = FittedQIteration._iterate, count()

    def dying(self, *args):
        if next(calls) == 3:
            raise KeyboardInterrupt
        iterate(self, *args)

    monkeypatch.setattr(FittedQIteration, "_iterate", dying)
    with pytest.raises(KeyboardInterrupt):
        broken.fit(log)
    again = FittedQIteration(modelDir=str(tmp_path / "b"), resume=True, **settings).fit(log)
    assert next(calls) == 3 + 1 + 2
    assert [f.sha256 for f in again.files if f.name.endswith(".skops")] == [
        f.sha256 for f in through.files if f.name.endswith(".skops")
    ]
    assert again.summary["residuals"] == through.summary["residuals"]


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"estimator": DecisionTreeClassifier()}, "not_a_regressor"),
        ({"maxIter": 0}, "invalid_param"),
        ({"validationFraction": 1.0}, "invalid_param"),
        ({"tol": float("nan")}, "invalid_param"),
        ({"advantage": 1.0}, "invalid_param"),
        ({"discount": 1.5}, "invalid_param"),
    ],
)
def test_params_out_of_range_are_refused_before_any_job(log, settings, code):
    with pytest.raises(ConfigurationError) as caught:
        FittedQIteration(**settings, **COLUMNS).fit(log)
    assert caught.value.code == code


@pytest.mark.long
def test_logs_that_cannot_be_learnt_from_are_refused(spark, log, tmp_path):
    weighted = log.selectExpr("*", "1.0 AS w")
    with pytest.raises(ConfigurationError, match="KNeighborsRegressor does not accept any"):
        FittedQIteration(estimator=KNeighborsRegressor(), weightCol="w", **COLUMNS).fit(weighted)
    numbers = written(tmp_path / "n", [block([0, 1], [[0.5], [1.0]], [0, 1])], (), continuous=1)
    with pytest.raises(ConfigurationError) as caught:
        FittedQIteration(estimator=DummyRegressor()).fit(numbers)
    assert caught.value.code == "continuous_actions"
    endless = written(tmp_path / "e", [block([0], [0], [1.0], truncated=[0])], range(2))
    with pytest.raises(DataError) as caught:
        FittedQIteration(estimator=DummyRegressor()).fit(endless)
    assert caught.value.code == "no_training_rows"
