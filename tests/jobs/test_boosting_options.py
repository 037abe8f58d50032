"""The options of `train_xgboost`: each reaches its Param, and what cannot work is told at once."""

from __future__ import annotations

import pytest

from sparkml_dist import XGBoostClassifier, XGBoostRegressor, load_model
from sparkml_dist.cli import boosting
from sparkml_dist.cli.boosting import add_boosting_options, boosting_estimator, boosting_params
from sparkml_dist.cli.options import JobParser
from sparkml_dist.errors import UsageError
from tests.boosting.rows import table
from tests.jobs.test_jobs import submit


def parsed(*options):
    parser = JobParser("train_xgboost", "Trains.")
    add_boosting_options(parser)
    return parser.parse_args(list(map(str, options)))


def test_each_option_sets_a_param_that_there_is():
    known = {p.name for p in XGBoostClassifier().params}
    assert set(boosting._PARAMS.values()) <= known
    assert set(vars(parsed())) - {"regression"} == set(boosting._PARAMS)
    assert boosting_params(parsed()) == {}


def test_options_become_an_estimator():
    args = parsed(
        *("--regression", "--members", 7, "--ranks", 3, "--objective", "count:poisson"),
        *("--monotone-constraints", '{"a": 1}', "--interaction-constraints", "a,b;c"),
        *("--eval-metric", "mae", "rmse", "--validation-fraction", 0.2, "--patience", 4),
        *("--no-external-memory", "--extra-params", '{"max_delta_step": 1}'),
    )
    estimator = boosting_estimator(args, seed=3)
    assert isinstance(estimator, XGBoostRegressor)
    assert estimator.getInteractionConstraints() == [["a", "b"], ["c"]]
    assert (estimator.getNumMembers(), estimator.getExternalMemory()) == (7, False)
    assert estimator.getEvalMetric() == ["mae", "rmse"]


@pytest.mark.parametrize(
    "options", [["--tol", "0.1"], ["--patience", 1, "--stop-metric", "val_auc"]], ids=str
)
def test_options_without_an_effect_are_refused(options):
    with pytest.raises(UsageError):
        boosting_params(parsed(*options))


@pytest.mark.long
def test_the_job_trains_scores_and_saves(tmp_path):
    rows = tmp_path / "rows.csv"
    frame = table(300).drop(columns=["grade", "count", "w"])
    frame.assign(id=[f"row {i}" for i in frame["id"]]).to_csv(rows, index=False)  # no feature
    ended = submit(
        "train_xgboost",
        *("--train", rows, "--categorical", "kind", "--key", "id", "--members", 30),
        *("--shards", 2, "--validation-fraction", 0.2, "--patience", 5),
        *("--output", tmp_path / "out"),
    )
    assert (ended.status, ended.errors) == (0, [])
    found = ended.document
    assert found["metrics"]["accuracy"] > 0.6
    assert found["best_round"] == found["rounds"] <= 30
    assert {"logloss", "val_logloss"} == set(found["last_round"])
    plots = {path.name for path in (tmp_path / "out" / "plots").iterdir()}
    assert {"metrics_by_round.png", "seconds_by_rank.png", "confusion_matrix.png"} <= plots
    model = load_model(str(tmp_path / "out" / "model"))
    assert model.booster.num_boosted_rounds() == found["rounds"]
