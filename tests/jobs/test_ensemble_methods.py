"""The job of ensembles reaches every method; its options are checked before Spark starts."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from sparkml_dist import load_model
from sparkml_dist.cli.ensembles import METHODS, EnsembleChoice
from sparkml_dist.cli.output import JobOutput
from sparkml_dist.cli.runner import Job
from sparkml_dist.errors import ConfigurationError, UsageError
from sparkml_dist.persistence.filesystem import Folder
from tests.long import cases

ROOT = Path(__file__).resolve().parents[2]
TREE = "sklearn.tree.DecisionTreeClassifier"
BAYES = "sklearn.naive_bayes.GaussianNB"
SEVERAL = ("--estimator", TREE, "--estimator", BAYES, "--estimator-params", '{"max_depth": 4}')


@pytest.fixture(scope="module")
def job():
    spec = importlib.util.spec_from_file_location(
        "train_ensemble", ROOT / "jobs" / "train_ensemble.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def iris(tmp_path_factory):
    from sklearn.datasets import load_iris

    frame = load_iris(as_frame=True).frame
    frame["weight"] = 1.0 + frame.index % 3
    path = tmp_path_factory.mktemp("iris") / "iris.csv"
    frame.to_csv(path, index=False)
    return path


def run(job, out, *options):
    """Run the job in this process, on the tests' session, which it must not stop."""
    args = job.options().parse_args(list(map(str, [*options, "--output", out])))
    running = Job("train_ensemble")
    running.output = JobOutput(Folder.at(out))
    job.main(args, running)
    return running.document.to_dict()


CASES = {
    "bagging": ("--members", 4, "--oob", "--stop-metric", "log_loss", "--validation-fraction", 0.2),
    "balanced": ("--members", 2),
    "ivotes": ("--members", 8, "--bite-size", 40),
    "adaboost": ("--members", 3, "--learning-rate", 0.5),
    "adaboost-pl": ("--members", 3),
    "gradient-boosting": ("--members", 5, "--learning-rate", 0.5),
    "stacking": ("--folds", 2, *SEVERAL),
    "blending": ("--validation-fraction", 0.3, *SEVERAL),
    "selection": ("--members", 5, "--stop-metric", "accuracy", *SEVERAL),
    "voting": ("--learn-weights", *SEVERAL),
}


@pytest.mark.parametrize(
    "method", cases(CASES, ["bagging", "adaboost", "gradient-boosting", "stacking", "voting"])
)
def test_every_method_trains_scores_and_is_loaded_again(job, iris, spark, method, tmp_path):
    document = run(
        job,
        tmp_path / "out",
        *("--train", iris, "--label", "target", "--weight", "weight", "--shards", 2),
        *("--method", method, *CASES[method]),
    )
    assert document["metrics"]["accuracy"] > 0.8
    assert document["features"] == 4
    assert document["members"] >= 1
    assert document["memory"]["peak_worker_rss_mb"] > 50
    model = load_model(str(tmp_path / "out" / "model"))
    assert model.numMembers == document["members"]
    plots = {p.name for p in (tmp_path / "out" / "plots").iterdir()}
    assert "confusion_matrix.png" in plots
    if method == "bagging":
        assert document["oob"]["metrics"]["accuracy"] > 0.8
        assert document["curve"]["metric"] == "log_loss"
        assert "stopping_curve.png" in plots


def test_calibrated(job, iris, spark, tmp_path):
    document = run(
        job,
        tmp_path / "out",
        *("--train", iris, "--label", "target", "--features", "sepal*", "petal*", "--shards", 1),
        *("--estimator", BAYES, "--members", 1, "--calibrate", "sigmoid"),
    )
    assert set(document["reliability"]) == {"before", "after (sigmoid)"}
    assert (tmp_path / "out" / "plots" / "reliability.png").is_file()
    model = load_model(str(tmp_path / "out" / "model"))
    assert type(model).__name__ == "CalibratedClassificationModel"
    json.dumps(document)


@pytest.mark.parametrize(
    "method", cases(["bagging", "gradient-boosting", "voting", "stacking"], ["bagging", "stacking"])
)
def test_regressions(job, spark, method, tmp_path):
    from sklearn.datasets import load_diabetes

    frame = load_diabetes(as_frame=True).frame
    frame.to_csv(tmp_path / "d.csv", index=False)
    options = ("--members", 20) if METHODS[method].regressor[0] in "bg" else ()
    document = run(
        job,
        tmp_path / "out",
        *("--train", tmp_path / "d.csv", "--label", "target", "--regression", "--shards", 1),
        *("--estimator-params", '{"max_depth": 3}', "--method", method, *options),
    )
    assert set(document["metrics"]) == {"rmse", "mae", "r2"}
    assert document["metrics"]["r2"] > 0.2
    assert (tmp_path / "out" / "plots" / "predicted_against_true.png").is_file()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--method", "stacking", "--oob"), "--method stacking has no --oob"),
        (("--method", "bagging", "--folds", 3), "--method bagging has no --folds"),
        (("--method", "adaboost", *SEVERAL), "takes one --estimator. Got 2"),
        (("--method", "balanced", "--regression"), "is for classification only"),
        (("--regression", "--calibrate", "sigmoid"), "--calibrate is for classification"),
        (("--method", "voting", "--final-estimator", BAYES), "has no --final-estimator"),
        (("--estimator-params", "{}", "--estimator-params", "{}"), "2 --estimator-params for 1"),
    ],
)
def test_options_that_do_not_fit_are_usage_errors(job, options, text):
    args = job.options().parse_args(["--train", "t", "--output", "o", *map(str, options)])
    with pytest.raises(UsageError, match=text):
        EnsembleChoice.of(args)


def test_a_learner_of_the_other_task_is_refused(job):
    for options in (["--regression", "--estimator", TREE], ["--method", "gradient-boosting"]):
        more = [] if "--regression" in options else ["--estimator", TREE]
        args = job.options().parse_args(["--train", "t", "--output", "o", *options, *more])
        with pytest.raises(ConfigurationError) as error:
            EnsembleChoice.of(args)
        assert error.value.code == "not_a_regressor"


@pytest.mark.parametrize("name", ["xgboost.XGBClassifier", "LGBMClassifier"])
def test_a_booster_by_its_name(spark, job, iris, tmp_path, name):
    pytest.importorskip("xgboost")
    pytest.importorskip("lightgbm")
    options = ("--train", iris, "--label", "target", "--members", 2, "--shards", 2)
    params = ("--estimator-params", '{"n_estimators": 5}')
    found = run(job, tmp_path / "out", *options, "--estimator", name, *params)
    assert found["metrics"]["accuracy"] > 0.8
