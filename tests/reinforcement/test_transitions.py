"""Transitions of logs on Spark: shards by episode, checked, and opened again."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from sparkml_dist.errors import ConfigurationError, DataError, SparkMLDistError, StorageError
from sparkml_dist.reinforcement import Transitions, open_transitions, read_minari
from tests.long import cases

COLUMNS = {
    "episode": "run",
    "step": "t",
    "state": ["x", "mode"],
    "action": "act",
    "reward": "gain",
    "terminated": "over",
    "behaviorProb": "p",
}
SCHEMA = "run string, t int, x double, mode string, act string, gain double, over boolean, p double"


def log_rows(episodes=30, seed=0):
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(episodes):
        n = int(rng.integers(1, 12))
        rows += [
            (
                f"run-{number}",
                t,
                float(rng.integers(5)),
                "abc"[rng.integers(3)],
                ("go", "stop")[rng.integers(2)],
                float(rng.normal()),
                bool(t == n - 1 and number % 3),
                0.5,
            )
            for t in range(n)
        ]
    return rows


@pytest.fixture(scope="module")
def log(spark):
    return spark.createDataFrame(log_rows(), SCHEMA).repartition(3).cache()


@pytest.fixture(scope="module")
def made(log, tmp_path_factory):
    return Transitions(log, tmp_path_factory.mktemp("log") / "t", **COLUMNS, shards=3)


def test_rows_of_an_episode_follow_each_other(made):
    rows = log_rows()
    assert made.n_rows == len(rows)
    assert made.n_episodes == 30
    assert made.actions == ("go", "stop")
    assert len(made.alerts) == 1  # ten episodes have no end
    returns = {}
    for row in rows:
        returns[row[0]] = returns.get(row[0], 0.0) + row[5]
    found = []
    for shard in range(len(made.shards)):
        for block in made.blocks(shard, whole=True):
            assert block.first[0]
            found += np.add.reduceat(block.reward, np.flatnonzero(block.first)).tolist()
            after = np.flatnonzero(~block.first)
            assert np.array_equal(block.next_state[after - 1], block.state[after])
            assert np.array_equal(block.next_action[after - 1], block.action[after])
            assert (block.behavior_prob == 0.5).all()
    assert sorted(found) == pytest.approx(sorted(returns.values()))


@pytest.mark.modes
def test_the_number_of_shards_changes_no_order(spark, tmp_path):
    log = spark.createDataFrame(log_rows(8), SCHEMA)
    orders = []
    for shards in (1, 3):
        made = Transitions(log, tmp_path / str(shards), **COLUMNS, shards=shards)
        again = open_transitions(made.location)
        assert again.summary == made.summary
        blocks = [b for s in range(len(again.shards)) for b in again.blocks(s)]
        orders.append(np.concatenate([np.c_[b.episode, b.step] for b in blocks]))
    assert np.array_equal(*orders)


WRONG = [
    ("step_twice", ("run-1", 0, 0.0, "a", "go", 0.0, False, 0.5)),
    ("probability_range", ("new", 0, 0.0, "a", "go", 0.0, False, 1.5)),
    ("reward_not_finite", ("new", 0, 0.0, "a", "go", float("nan"), False, 0.5)),
    ("infinite_feature", ("new", 0, float("inf"), "a", "go", 0.0, False, 0.5)),
]


@pytest.mark.parametrize(("code", "row"), cases(WRONG, WRONG[:1]))
def test_a_wrong_row_is_refused(spark, log, tmp_path, code, row):
    wrong = log.union(spark.createDataFrame([row], SCHEMA))
    with pytest.raises(DataError) as found:
        Transitions(wrong, tmp_path / "t", **COLUMNS, shards=2)
    assert found.value.code == code
    assert not (tmp_path / "t").exists()
    if code == "step_twice":
        assert "'run-1'" in found.value.message


@pytest.mark.long
def test_an_action_outside_the_list_is_refused(log):
    with pytest.raises(DataError, match=r"\[unknown_action\].*'stop'"):
        Transitions(log, **COLUMNS, shards=1, actions=["go", "turn"])


@pytest.mark.parametrize(
    ("code", "given"),
    [
        ("conflicting_params", {"step": None}),
        ("conflicting_params", {"step": None, "episode": None}),
        ("conflicting_params", {"nextState": ["x"]}),
        ("column_not_found", {"reward": "gian"}),
        ("column_twice", {"reward": "x"}),
        ("column_type", {"reward": "run"}),
        ("invalid_param", {"gaps": "fill"}),
    ],
)
def test_what_the_schema_shows_is_refused_before_a_job(log, code, given):
    with pytest.raises(SparkMLDistError) as found:
        Transitions(log, **COLUMNS | given)
    assert found.value.code == code
    assert isinstance(found.value, DataError | ConfigurationError)


def test_altered_files_are_not_opened(made, tmp_path):
    import shutil

    shutil.copytree(made.location, tmp_path / "t")
    note = tmp_path / "t" / "transitions.json"
    content = json.loads(note.read_text())
    content["summary"]["episodes"] = 1
    note.write_text(json.dumps(content))
    with pytest.raises(StorageError, match="altered_manifest"):
        open_transitions(tmp_path / "t")
    shard = next((tmp_path / "t").glob("shards-*/*.parquet"))
    shard.write_bytes(shard.read_bytes()[:-100])
    note.write_text((type(note)(made.location) / "transitions.json").read_text())
    with pytest.raises(StorageError, match="file_altered"):
        again = open_transitions(tmp_path / "t")
        for shard in range(len(again.shards)):
            list(again.blocks(shard))


def minari_folder(home):
    """Write two episodes in Minari's Arrow layout: a row more than actions, padded with zeros."""
    for number, length in enumerate((3, 2)):
        n = length + 1
        values = pa.array(np.arange(2.0 * n) + 100 * number)
        table = pa.table(
            {
                "observations": pa.FixedSizeListArray.from_arrays(values, 2),
                "actions": pa.array([1] * length + [0], pa.int32()),
                "rewards": [1.0] * length + [0.0],
                "terminations": [False] * (length - 1) + [number == 0, False],
                "truncations": [False] * (length - 1) + [number == 1, False],
            }
        )
        folder = home / "data" / str(number)
        folder.mkdir(parents=True)
        with pa.ipc.new_file(folder / "part-0.arrow", table.schema) as file:
            file.write_table(table)
        (folder / "metadata.json").write_text("{}")
    return home


def test_minari_logs_are_read_with_their_last_observation(spark, tmp_path):
    log = read_minari(spark, minari_folder(tmp_path))
    made = Transitions(
        log,
        state="state",
        action="action",
        reward="reward",
        episode="episode",
        step="step",
        terminated="terminated",
        truncated="truncated",
        shards=1,
    )
    assert (made.n_episodes, made.n_rows, made.summary["transitions"]) == (2, 5, 5)
    assert (made.summary["terminated"], made.summary["truncated"]) == (1, 1)
    block = made.read(0)
    cut = np.flatnonzero(block.truncated)
    assert block.next_state[cut].tolist() == [[104.0, 105.0]]
    with pytest.raises(StorageError, match="no_episodes"):
        read_minari(spark, tmp_path / "data" / "0")
