"""Ranks, executors and drivers that die in the middle of an epoch, and what becomes of the fit."""

from __future__ import annotations

import logging
import signal

import numpy as np
import pytest

from sparkml_dist import KerasRegressor
from sparkml_dist.errors import ConfigurationError, TrainingError
from tests.deep.doomed import BATCH, ROWS, each_row_its_target, killed, network, weights_of

EPOCHS, EVERY = 3, 3
WATCHED = {"stopMetric": "loss", "patience": EPOCHS}


@pytest.fixture(scope="module")
def data(spark, tmp_path_factory):
    return each_row_its_target(spark, tmp_path_factory.mktemp("shards") / "s")


@pytest.fixture(scope="module")
def undisturbed(data, tmp_path_factory):
    """A fit of two ranks that nothing happens to, and its folder."""
    folder = tmp_path_factory.mktemp("undisturbed") / "m"
    model = learner(folder, network(noisy=True), **WATCHED).fit(data)
    assert model.summary["restarts"] == 0
    assert each_row_once_in_every_epoch(model.history)
    return model, folder


def learner(folder, builder, ranks=2, **params):
    return KerasRegressor(
        builder=builder,
        numRanks=ranks,
        epochs=EPOCHS,
        batchSize=BATCH // 2,
        modelDir=str(folder),
        **{"checkpointEvery": EVERY, **params},
    )


def each_row_once_in_every_epoch(history):
    return (np.array(history["seen"]) == 1).all() and np.shape(history["seen"]) == (EPOCHS, ROWS)


# On a local cluster an executor is killed, below; over Connect: `tests/cluster/test_gang.py`.
def test_a_killed_rank_changes_nothing_in_the_end(data, undisturbed, tmp_path, caplog):
    undisturbed, folder = undisturbed
    doom = killed(tmp_path / "dead", rank=1, call=14, checkpoint=(tmp_path / "b", 12))
    with caplog.at_level(logging.INFO, "sparkml_dist"):
        model = learner(tmp_path / "b", network(noisy=True, doom=doom), **WATCHED).fit(data)
    assert (tmp_path / "dead").exists()

    # Bit by bit: weights, the averages of batch normalisation, dropout, metrics over the break.
    wanted, found = weights_of(folder), weights_of(tmp_path / "b")
    assert {k: v.tobytes() for k, v in found.items()} == {k: v.tobytes() for k, v in wanted.items()}
    assert model.history == undisturbed.history
    assert model.summary["best_epoch"] == undisturbed.summary["best_epoch"]
    assert model.summary["best"] == undisturbed.summary["best"]
    assert sum(r["rows"] for r in model.summary["ranks"]) == ROWS

    assert model.summary["restarts"] == 1
    (why,) = model.summary["restarted"]
    assert why["code"] == "rank_died"
    assert why["rank"] == 1
    assert "Rank 1 on" in why["message"]
    assert "was killed by SIGKILL" in caplog.text
    assert "launched again (restart 1 of at most 2), from the checkpoint of step 12" in caplog.text
    assert "resumes from the checkpoint launch-001-step-000000012: epoch 2, step 4" in caplog.text
    # The logs of the rank that died stay, and no checkpoint does.
    assert (tmp_path / "b/logs/rank-1.log").exists()
    assert (tmp_path / "b/logs/launch-002/rank-1.log").exists()
    assert not (tmp_path / "b/checkpoints").exists()


# That a silent rank ends its gang: `tests/cluster/test_gang.py`; restarts: above.
@pytest.mark.long
def test_a_stopped_rank_is_noticed_in_time_and_launched_again(data, tmp_path, caplog):
    doom = killed(tmp_path / "stopped", rank=1, call=14, by=signal.SIGSTOP)
    with caplog.at_level(logging.WARNING, "sparkml_dist"):
        model = learner(tmp_path / "m", network(doom=doom), silenceTimeout=3).fit(data)
    (why,) = model.summary["restarted"]
    assert (why["code"], why["rank"]) == ("rank_silent", 1)
    assert why["seconds"] < 120  # far below the 300 s of no choice
    assert "Rank 1 on" in caplog.text
    assert "sent no heartbeat for 3 s" in caplog.text
    assert each_row_once_in_every_epoch(model.history)


@pytest.mark.long
def test_another_run_at_another_number_of_ranks_goes_on(data, tmp_path, caplog):
    undisturbed = learner(tmp_path / "a", network()).fit(data)

    folder = tmp_path / "b"
    doom = killed(tmp_path / "first", rank=0, call=8, checkpoint=(folder, 6))
    with pytest.raises(TrainingError, match="rank_died") as died:
        learner(folder, network(doom=doom), maxRestarts=0).fit(data)
    assert "resume to continue from the checkpoint of step 6" in died.value.hint
    assert died.value.rank == 0

    with pytest.raises(ConfigurationError, match="plan_differs") as other:
        learner(folder, network(units=13), resume=True).fit(data)
    assert "layer 2, 'dense' (Dense): kernel is float32(6, 12)" in other.value.message
    assert "float32(6, 13) in the model" in other.value.message

    doom = killed(tmp_path / "second", rank=0, call=8)
    with pytest.raises(TrainingError, match="rank_died"):
        learner(folder, network(doom=doom), ranks=1, maxRestarts=0, resume=True).fit(data)

    # The kill may have left a folder without a manifest, which is no checkpoint yet.
    newest = max(m.parent for m in (folder / "checkpoints").glob("*/manifest.json"))
    content = (newest / "state.npz").read_bytes()
    (newest / "state.npz").write_bytes(content[: len(content) // 2])
    with caplog.at_level(logging.INFO, "sparkml_dist"):
        model = learner(folder, network(), resume=True).fit(data)
    assert f"{newest.name} is skipped" in caplog.text
    assert "is damaged: state.npz has" in caplog.text

    assert each_row_once_in_every_epoch(model.history)
    wanted, found = weights_of(tmp_path / "a"), weights_of(folder)
    for name, values in wanted.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-4, atol=1e-6, err_msg=name)
    np.testing.assert_allclose(model.history["loss"], undisturbed.history["loss"], rtol=1e-5)


def test_a_loss_that_is_not_a_number_leaves_the_last_good_checkpoint(data, tmp_path):
    with pytest.raises(TrainingError, match="diverged") as caught:
        learner(tmp_path / "m", network(poison=8)).fit(data)
    assert "step 8 of epoch 1" in caught.value.message
    kept = sorted(p.name for p in (tmp_path / "m/checkpoints").iterdir())
    assert kept == ["launch-001-step-000000003", "launch-001-step-000000006"]
    assert str(tmp_path / "m/checkpoints" / kept[-1]) in caught.value.hint


@pytest.mark.modes
def test_a_killed_executor(data, mode, request, tmp_path):
    if mode != "local-cluster":
        pytest.skip("the executor is the driver's own process, or hidden behind a server")
    undisturbed, folder = request.getfixturevalue("undisturbed")
    doom = killed(tmp_path / "dead", rank=1, call=14, executor=True)
    model = learner(tmp_path / "b", network(noisy=True, doom=doom), **WATCHED).fit(data)
    assert (tmp_path / "dead").exists()
    assert model.summary["restarts"] == 1
    assert model.summary["restarted"][0]["code"] == "rank_lost"
    assert model.history == undisturbed.history
    wanted, found = weights_of(folder), weights_of(tmp_path / "b")
    assert all((found[name] == values).all() for name, values in wanted.items())
