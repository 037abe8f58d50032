"""The job of ensembles reaches every method; its options are checked before Spark starts."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from sparkml_dist import load_model
from sparkml_dist.cli.ensembles import METHODS, EnsembleChoice
from sparkml_dist.cli.output import JobOutput
from sparkml_dist.cli.runner import Job
from sparkml_dist.cli.scoring import score_table
from sparkml_dist.errors import ConfigurationError, UsageError
from sparkml_dist.persistence.filesystem import Folder
from tests.long import cases

ROOT = Path(__file__).resolve().parents[2]
TREE = "sklearn.tree.DecisionTreeClassifier"
BAYES = "sklearn.naive_bayes.GaussianNB"
SEVERAL = ("--estimator", TREE, "--estimator", BAYES, "--estimator-params", '{"max_depth": 4}')


@pytest.fixture(scope="module")
def job():
    return _module("train_ensemble")


def _module(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "jobs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def iris(tmp_path_factory):
    from sklearn.datasets import load_iris

    bunch = load_iris(as_frame=True)
    frame = bunch.data.assign(weight=1.0 + bunch.data.index % 3)
    frame["species"] = bunch.target_names[bunch.target]
    path = tmp_path_factory.mktemp("iris") / "iris.csv"
    frame.to_csv(path, index=False, sep=";")
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


@pytest.fixture(scope="module")
def trained(job, iris, spark, tmp_path_factory):
    """What the job says of a method on iris, and its output; it runs when it is first asked for."""
    made = {}

    def of(method):
        if method not in made:
            out = tmp_path_factory.mktemp(method) / "out"
            options = ("--train", iris, "--label", "species", "--weight", "weight", "--shards", 2)
            made[method] = run(job, out, *options, "--method", method, *CASES[method]), out
        return made[method]

    return of


# The other methods: `tests/ensemble`, and the long run.
@pytest.mark.parametrize("method", cases(CASES, ["bagging", "stacking"]))
def test_every_method_trains_scores_and_is_loaded_again(trained, method):
    document, out = trained(method)
    assert document["metrics"]["accuracy"] > 0.8
    assert document["features"] == 4
    assert document["members"] >= 1
    assert document["memory"]["peak_worker_rss_mb"] > 50
    model = load_model(str(out / "model"))
    assert model.numMembers == document["members"]
    plots = {p.name for p in (out / "plots").iterdir()}
    assert "confusion_matrix.png" in plots
    if method == "bagging":
        assert document["oob"]["metrics"]["accuracy"] > 0.8
        assert document["curve"]["metric"] == "log_loss"
        assert "stopping_curve.png" in plots


def test_scoring_rows_without_labels(trained, iris, spark, tmp_path):
    """Their columns in another order; the predictions as pyarrow reads them."""
    _, home = trained("bagging")
    rows = [line.split(";") for line in iris.read_text().splitlines()]
    order = [3, 1, 0, 2]  # names tell which column is which
    text = "\n".join(",".join(row[i] for i in order) for row in rows)
    (tmp_path / "new.csv").write_text(text + "\n")
    place = ("--model", home, "--input", tmp_path / "new.csv", "--output", tmp_path / "parquet")
    scoring = Job("score")
    scoring._spark = spark
    score_table(_module("score").options().parse_args([*map(str, place)]), scoring)
    document, table = scoring.document.to_dict(), pq.read_table(tmp_path / "parquet")
    assert (document["rows"], document["metrics"]) == (150, {})
    assert table.column_names[-3:] == ["prediction", "probability", "predictedLabel"]
    assert len(table.column_names) == 7
    probability = np.array(table["probability"].to_pylist())
    assert np.allclose(probability.sum(axis=1), 1)
    assert (probability.argmax(axis=1) == table["prediction"].to_numpy()).all()
    true = sorted(line.rsplit(";", 1)[1] for line in iris.read_text().splitlines()[1:])
    right = sum(a == b for a, b in zip(sorted(table["predictedLabel"].to_pylist()), true))
    assert right > 135
    assert {p.name for p in tmp_path.iterdir()} == {"new.csv", "parquet"}
    assert "score: ok" in (tmp_path / "parquet" / "_report.html").read_text()


@pytest.mark.long
def test_calibrated(job, iris, spark, tmp_path):
    document = run(
        job,
        tmp_path / "out",
        *("--train", iris, "--label", "species", "--features", "sepal*", "petal*", "--shards", 1),
        *("--estimator", BAYES, "--members", 1, "--calibrate", "sigmoid"),
    )
    assert set(document["reliability"]) == {"before", "after (sigmoid)"}
    assert (tmp_path / "out" / "plots" / "reliability.png").is_file()
    model = load_model(str(tmp_path / "out" / "model"))
    assert type(model).__name__ == "CalibratedClassificationModel"
    json.dumps(document)


@pytest.mark.long
@pytest.mark.parametrize(
    "method", cases(["bagging", "gradient-boosting", "voting", "stacking"], ["stacking"])
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


@pytest.mark.parametrize(
    "name", cases(["xgboost.XGBClassifier", "LGBMClassifier"], ["LGBMClassifier"])
)
def test_a_booster_by_its_name(spark, job, iris, tmp_path, name):
    pytest.importorskip("xgboost")
    pytest.importorskip("lightgbm")
    options = ("--train", iris, "--label", "species", "--members", 2, "--shards", 2)
    params = ("--estimator-params", '{"n_estimators": 5}')
    found = run(job, tmp_path / "out", *options, "--estimator", name, *params)
    assert found["metrics"]["accuracy"] > 0.8
