"""`DeepQLearning` from a log to a policy, on ranks that live and ranks that die."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

from sparkml_dist import DeepQLearning, load_model
from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.reinforcement import deep_q_learning
from sparkml_dist.reinforcement.learning_rows import prepare_rows
from sparkml_dist.reinforcement.networks.build import value_unit
from tests.deep.doomed import weights_of
from tests.reinforcement.doomed_learner import doomed_learner
from tests.reinforcement.written_transitions import block, written

ACTING = "tests.reinforcement.in_a_process_acting"
SMALL = {"numRanks": 2, "batchSize": 16, "hiddenUnits": [16], "learningRate": 0.01}


@pytest.fixture(scope="module")
def corridor(tmp_path_factory):
    """Random walks over five places, from the middle; the right end has a prize, the left none."""
    rng = np.random.default_rng(0)
    place, action, reward, ends, episode, after = [], [], [], [], [], []
    for walk in range(120):
        at = 2
        while at not in (0, 4):
            move = int(rng.integers(2))
            place.append(at)
            action.append(move)
            at += 1 if move else -1
            reward.append(float(at == 4))
            after.append(at)
            episode.append(walk)
        ends.append(len(place) - 1)
    made = block(place, action, reward, next_state=after, terminated=ends, episode=episode)
    cut = int(np.flatnonzero(made.first)[60])
    parts = [made.take(slice(0, cut)), made.take(slice(cut, None))]
    return written(tmp_path_factory.mktemp("corridor") / "data", parts, range(2))


@pytest.fixture(scope="module")
def steering(tmp_path_factory):
    """One step each: the reward falls with the distance of the action from minus the state."""
    rng = np.random.default_rng(0)
    state, action = rng.uniform(-1, 1, 600), rng.uniform(-2, 2, 600)
    made = block(
        state,
        action[:, None],
        -np.square(action + state),
        next_state=state,
        terminated=range(600),
        episode=np.arange(600),
    )
    return written(tmp_path_factory.mktemp("steering") / "data", [made], (), continuous=1)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"algorithm": "dqm"}, "did you mean 'dqn'"),
        ({"nSteps": 0}, "nSteps must be >= 1"),
        ({"expectile": 1.0}, "expectile must be > 0 and < 1"),
        ({"targetUpdate": 1.5}, "targetUpdate must be an int"),
        ({"hiddenUnits": []}, "hiddenUnits must be"),
        ({"learningRate": 0.0}, "learningRate must be > 0"),
        ({"clipNorm": -1.0}, "clipNorm"),
    ],
)
def test_params_out_of_range_are_refused_before_any_job(spark, corridor, settings, words):
    with pytest.raises(ConfigurationError) as caught:
        DeepQLearning(**settings).fit(corridor)
    assert caught.value.code == "invalid_param"
    assert words.lower() in caught.value.message.lower()


def test_algorithms_are_for_one_kind_of_actions(spark, corridor, steering):
    for data, algorithm in ((corridor, "td3bc"), (steering, "cql")):
        with pytest.raises(ConfigurationError, match=f"'{algorithm}' is not for actions"):
            DeepQLearning(algorithm=algorithm).fit(data)


def test_the_unit_of_values_is_about_a_return():
    def moments(mean, deviation):
        return (np.array([mean]), np.array([deviation]))

    assert value_unit(moments(1.0, 1.0), moments(0.99, 0.1)) == pytest.approx(100)
    assert value_unit(moments(-0.1, 5.0), moments(0.9, 0.3)) == pytest.approx(50)
    assert value_unit(moments(0.0, 1.0), moments(1.0, 1.0)) == pytest.approx(1000)


def test_rows_to_learn_from_are_those_of_returns_in_random_order(spark, tmp_path):
    made = block(
        np.arange(40.0),
        np.arange(40) % 2,
        np.arange(40.0),
        episode=np.repeat(range(4), 10),
        terminated=[9, 19],
        truncated=[29, 39],
        weight=np.arange(40) + 1.0,
        next_available=np.tile([True, False], (40, 1)),
        available=np.ones((40, 2), bool),
    )
    data = written(tmp_path / "d", [made], range(2), weight=True, available=True)
    from sparkml_dist.persistence.filesystem import Folder

    rows = prepare_rows(spark, data, Folder.at(tmp_path / "r"), steps=2, discount=0.5, seed=1)
    read = rows.data.read_block(0)
    found = rows.inputs.take(read.X)
    state = found["state"][:, 0]
    assert len(state) == 38 and sorted(state) != state.tolist()  # two ends are not known
    order = np.argsort(state)
    at = state[order].astype(int)
    assert at.tolist() == [i for i in range(40) if i not in (29, 39)]
    assert found["action"][order, 0].tolist() == [i % 2 for i in at]
    # The last step whose value is known ends the return.
    short = np.isin(at, [9, 19, 28, 38])
    assert found["reward"][order, 0].tolist() == [
        i if s else i + 0.5 * (i + 1) for i, s in zip(at, short, strict=True)
    ]
    wanted = np.where(np.isin(at, [8, 9, 18, 19]), 0, np.where(short, 0.5, 0.25))
    assert found["discount"][order, 0].tolist() == wanted.tolist()
    assert found["next_available"].tolist() == [[1, 0]] * 38
    assert read.weight[order].tolist() == (at + 1.0).tolist()
    assert read.key[order].tolist() == (at // 10).tolist()

    endless = written(tmp_path / "e", [block([0], [0], [1.0], truncated=[0])], range(2))
    with pytest.raises(DataError) as caught:
        prepare_rows(spark, endless, Folder.at(tmp_path / "x"), steps=1, discount=0.5, seed=1)
    assert caught.value.code == "no_training_rows"


@pytest.mark.long
@pytest.mark.parametrize("algorithm", ["dqn", "cql", "bcq", "iql", "bc"])
def test_a_log_becomes_a_policy(spark, corridor, tmp_path, algorithm):
    fit = DeepQLearning(
        algorithm=algorithm, discount=0.5, nSteps=1, epochs=30, targetUpdate=0.1, **SMALL
    )
    model = fit.fit(corridor)
    assert "loss" in model.history
    assert sum(r["rows"] for r in model.summary["ranks"]) == corridor.n_rows
    model.save(str(tmp_path / "model"))
    states = spark.createDataFrame([(1.0,), (2.0,), (3.0,)], "s0 double")
    rows = load_model(str(tmp_path / "model")).transform(states).collect()
    values = np.array([list(r.qValues) for r in rows])
    if algorithm == "bc":
        assert np.isnan(values).all()
        assert all(abs(r.actionProbability - 0.5) < 0.15 for r in rows)
        return
    assert [r.action for r in rows] == [1, 1, 1]
    if algorithm == "dqn":
        assert values == pytest.approx(np.array([[0, 0.25], [0.125, 0.5], [0.25, 1]]), abs=0.1)


@pytest.mark.long
@pytest.mark.parametrize("algorithm", ["td3bc", "iql", "bc"])
def test_actions_that_are_numbers(spark, steering, tmp_path, algorithm):
    fit = DeepQLearning(
        algorithm=algorithm, alpha=10.0, temperature=10.0, discount=0.0, epochs=40, **SMALL
    )
    model = fit.fit(steering)
    assert model.actions == () and "1 numbers" in repr(model)
    model.save(str(tmp_path / "model"))
    states = spark.createDataFrame([(x,) for x in np.linspace(-0.8, 0.8, 9).tolist()], "s0 double")
    rows = load_model(str(tmp_path / "model")).transform(states).collect()
    actions = np.array([r.action for r in rows])
    assert actions.shape == (9, 1) and np.abs(actions).max() <= 2
    away = np.abs(actions[:, 0] + np.linspace(-0.8, 0.8, 9)).mean()
    assert away < {"td3bc": 0.35, "iql": 0.35, "bc": 0.9}[algorithm]
    with pytest.raises(ConfigurationError) as caught:
        model.export_onnx(str(tmp_path / "model.onnx"))
    assert caught.value.code == "onnx_not_supported"


@pytest.mark.long
def test_a_rank_that_is_killed_changes_nothing(spark, corridor, tmp_path, monkeypatch):
    learnt = []
    for name in ("killed", "alive"):
        marker = tmp_path / f"{name}.marker"
        if name == "alive":
            marker.write_text("")
        monkeypatch.setattr(
            deep_q_learning, "build_learner", functools.partial(doomed_learner, marker=str(marker))
        )
        home = tmp_path / name
        model = DeepQLearning(
            algorithm="dqn",
            targetUpdate=4,
            epochs=2,
            checkpointEvery=3,
            modelDir=str(home),
            **SMALL,
        ).fit(corridor)
        assert model.summary["restarts"] == (1 if name == "killed" else 0)
        assert marker.exists()
        learnt.append((weights_of(home), model.history))
    (one, history), (other, same) = learnt
    assert one.keys() == other.keys()
    assert all((one[key] == other[key]).all() for key in one)
    assert history == same


@pytest.mark.long
# Their import would bring TensorFlow into this process.
@pytest.mark.skipif(find_spec("tf2onnx") is None, reason="needs tf2onnx")
def test_policies_act_in_python_and_as_onnx(spark, corridor, tmp_path):
    for algorithm in ("cql", "bcq", "iql"):
        model = DeepQLearning(algorithm=algorithm, epochs=2, **SMALL).fit(corridor)
        model.save(str(tmp_path / algorithm))
        states = spark.createDataFrame([(1.0,), (2.0,), (3.0,)], "s0 double")
        chosen = [r.action for r in model.transform(states).collect()]
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "tests.reinforcement.in_a_process_acting",
                str(tmp_path / algorithm),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        found = json.loads(done.stdout.splitlines()[-1])
        assert found["acts"] == found["onnx"] == found["copied"] == chosen
        assert found["gap"] < 1e-5
