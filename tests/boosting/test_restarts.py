"""A rank that dies in the middle of the rounds, and a driver that begins again."""

from __future__ import annotations

import pytest

from sparkml_dist import XGBoostClassifier
from sparkml_dist.errors import TrainingError
from tests.boosting.rows import FEATURES, Logistic, table

ROUNDS, EVERY = 12, 4
WATCHED = {"validationFraction": 0.2, "patience": ROUNDS}


def learner(folder, mark="", **given):
    return XGBoostClassifier(
        **{
            "numMembers": ROUNDS,
            "maxDepth": 3,
            "numRanks": 2,
            "numShards": 2,
            "featuresCols": FEATURES,
            "categoricalCols": ["kind"],
            "keyCol": "id",
            "objective": Logistic(str(mark), rank=1, call=EVERY + 2),
            "checkpointRounds": EVERY,
            "modelDir": str(folder),
            **WATCHED,
            **given,
        }
    )


@pytest.fixture(scope="module")
def rows(spark):
    return spark.createDataFrame(table()).cache()


@pytest.mark.parametrize(
    "draws",
    [{"subsample": 0.7, "colsampleByTree": 0.7}, pytest.param({}, marks=pytest.mark.long)],
    ids=str,
)
def test_a_killed_rank_changes_nothing_in_the_end(rows, tmp_path, draws):
    undisturbed = learner(tmp_path / "a", **draws).fit(rows)
    model = learner(tmp_path / "b", tmp_path / "dead", **draws).fit(rows)
    assert (tmp_path / "dead").exists()
    assert model.summary["restarts"] == 1
    assert model.summary["restarted"][0]["code"] in ("rank_died", "rank_failed")
    assert model.files[0].sha256 == undisturbed.files[0].sha256
    assert model.history == undisturbed.history
    assert model.summary["best_round"] == undisturbed.summary["best_round"]
    assert not list((tmp_path / "b").rglob("launch-*-round-*"))


@pytest.mark.long
def test_a_fit_that_failed_resumes_from_its_checkpoint(rows, tmp_path):
    undisturbed = learner(tmp_path / "a").fit(rows)
    with pytest.raises(TrainingError) as caught:
        learner(tmp_path / "b", tmp_path / "dead", maxRestarts=0).fit(rows)
    assert f"checkpoint of round {EVERY}" in caught.value.hint
    (newest,) = (tmp_path / "b").rglob("booster.npz")
    model = learner(tmp_path / "b", tmp_path / "dead", maxRestarts=0, resume=True).fit(rows)
    assert model.files[0].sha256 == undisturbed.files[0].sha256
    assert not newest.exists()


@pytest.mark.long
def test_a_damaged_checkpoint_is_not_used(rows, tmp_path):
    undisturbed = learner(tmp_path / "a").fit(rows)
    with pytest.raises(TrainingError):
        learner(tmp_path / "b", tmp_path / "dead", maxRestarts=0).fit(rows)
    (newest,) = (tmp_path / "b").rglob("booster.npz")
    newest.write_bytes(newest.read_bytes()[:-100])
    model = learner(tmp_path / "b", tmp_path / "dead", maxRestarts=0, resume=True).fit(rows)
    assert model.files[0].sha256 == undisturbed.files[0].sha256


@pytest.mark.long
def test_a_fit_goes_on_with_more_rounds(rows, tmp_path):
    given = {"numRanks": 1, "objective": None, "keepCheckpoints": 1, "resume": True}
    straight = learner(tmp_path / "a", **given).fit(rows)
    few = learner(tmp_path / "b", numMembers=5, **given).fit(rows)
    assert len(few.history["logloss"]) == 5
    (kept,) = (tmp_path / "b").rglob("booster.npz")
    grown = learner(tmp_path / "b", **given).fit(rows)
    assert grown.files[0].sha256 == straight.files[0].sha256
    assert (
        grown.history == straight.history and grown.history["logloss"][:5] == few.history["logloss"]
    )
    assert not kept.exists() and len(list((tmp_path / "b").rglob("booster.npz"))) == 1
