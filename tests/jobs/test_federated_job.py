"""Federated training as a job."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import sparkml_dist as sd
from sparkml_dist.cli.federated import add_federated_options, check_federated, federated_estimator
from sparkml_dist.cli.options import JobParser, add_training_options
from sparkml_dist.errors import UsageError
from tests.jobs.test_jobs import submit

DATA = ["--train", "a.csv", "--output", "out", "--silo", "h"]


def parsed(*options):
    parser = JobParser("train_federated", "Trains.")
    add_training_options(parser)
    add_federated_options(parser)
    return parser.parse_args([*DATA, *map(str, options)])


def test_options_become_an_estimator():
    bagging = federated_estimator(
        parsed(
            *("--model", "bagging", "--estimator", "LogisticRegression", "--members", 3),
            *("--estimator-params", '{"C": 2.0}', "--weighting", "equal", "--min-silos", 2),
        )
    )
    assert isinstance(bagging, sd.FederatedBaggingClassifier)
    assert bagging.getEstimator().C == 2.0 and bagging.getWeighting() == "equal"
    assert (bagging.getNumMembers(), bagging.getMinSilos()) == (3, 2)
    boosting = federated_estimator(
        parsed("--model", "boosting", "--regression", "--rounds", 7, "--max-depth", 2, "--secure")
    )
    assert isinstance(boosting, sd.FederatedBoostingRegressor)
    assert (boosting.getNumMembers(), boosting.getMaxDepth(), boosting.getSecure()) == (7, 2, True)


@pytest.mark.parametrize(
    "options",
    [
        ["--model", "bagging", "--rounds", 3],
        ["--model", "bagging", "--secure"],
        ["--model", "boosting", "--strategy", "fedavg"],
        ["--model", "glm", "--noise-multiplier", 1, "--clip", 1],
        ["--clip", 1],
        ["--noise-multiplier", 1],
        ["--noise-multiplier", 0, "--clip", 1],
        ["--family", "poisson"],
        ["--model", "glm", "--family", "poisson"],
        ["--model", "linear"],
        ["--regression"],
        ["--model", "naive-bayes", "--regression"],
        ["--shards-from", "x"],
        ["--strategy", "fedsgd"],
    ],
    ids=str,
)
def test_options_without_an_effect_are_refused(options):
    with pytest.raises(UsageError):
        check_federated(parsed(*options))


def write_rows(path):
    rng = np.random.default_rng(2)
    rows = pd.DataFrame(rng.normal(size=(240, 2)), columns=["a", "b"])
    rows["hospital"] = np.array(["one", "two", "three"])[np.arange(240) % 3]
    rows["ill"] = np.where(rows.a + 0.3 * rng.normal(size=240) > 0, "yes", "no")
    rows["days"] = rows.a * 2 + rows.b + 0.1 * rng.normal(size=240)
    rows.to_csv(path, index=False)


def run(tmp_path, *options):
    write_rows(tmp_path / "rows.csv")
    ended = submit(
        "train_federated",
        *("--train", tmp_path / "rows.csv", "--silo", "hospital", "--output", tmp_path / "out"),
        *("--features", "a", "b", *options),
    )
    return ended, json.loads((tmp_path / "out" / "metrics.json").read_text())


@pytest.mark.long
def test_the_job_trains_scores_and_keeps_a_ledger(tmp_path):
    ended, found = run(tmp_path, "--label", "ill", "--model", "naive-bayes")
    assert (ended.status, ended.errors) == (0, []), ended.stderr[-2000:]
    assert found["metrics"]["accuracy"] > 0.85
    assert set(found["by_silo"]["silos"]) == {"one", "two", "three"}
    assert found["rounds"] == 4 and found["silos"] == 3 and found["epsilon"] is None
    assert 0 < found["bytes_per_silo_round"] < 5000
    assert [line["kind"] for line in found["ledger"]] == ["schema", "agree", "class_moments"]
    ledger = pd.read_csv(tmp_path / "out" / "ledger.csv")
    assert len(ledger) == 4 * 3 * 2
    report = (tmp_path / "out" / "report.html").read_text()
    assert "Ledger of messages" in report and "class_moments" in report and "three" in report
    assert (tmp_path / "out" / "model" / "manifest.json").exists()


@pytest.mark.long
@pytest.mark.parametrize(
    ("options", "metric", "least", "most"),
    [
        (["--label", "ill", "--model", "bagging"], "accuracy", 0.8, 1.0),
        (["--label", "ill", "--model", "boosting", "--rounds", 5], "accuracy", 0.8, 1.0),
        (
            ["--label", "days", "--model", "boosting", "--rounds", 20, "--regression"],
            *("rmse", 0.0, 0.8),
        ),
        (["--label", "ill", "--model", "glm"], "accuracy", 0.85, 1.0),
        (["--label", "days", "--model", "glm", "--regression"], "rmse", 0.0, 0.12),
        (["--label", "ill", "--rounds", 3], "accuracy", 0.8, 1.0),
        (["--label", "ill", "--strategy", "scaffold", "--secure"], "accuracy", 0.8, 1.0),
        (
            ["--label", "ill", "--rounds", 3, "--noise-multiplier", 0.5, "--clip", 1],
            *("accuracy", 0.3, 1.0),
        ),
    ],
    ids=str,
)
def test_each_model(tmp_path, options, metric, least, most):
    ended, found = run(tmp_path, *options)
    assert (ended.status, ended.errors) == (0, []), ended.stderr[-2000:]
    assert least <= found["metrics"][metric] <= most
    if "glm" in options:
        assert set(found["standard_errors"]) == {"(intercept)", "a", "b"}
        assert found["rounds"] <= 16  # Newton steps, two for the schema and some for the columns
    assert (found["epsilon"] is not None) == ("--noise-multiplier" in options)


@pytest.mark.long
def test_hospitals(tmp_path, shared_data):
    names = ("cleveland", "hungarian", "switzerland", "va")
    parts = [pd.read_csv(shared_data / f"heart-{name}.csv").assign(hospital=name) for name in names]
    rows = pd.concat(parts)
    rows["ill"] = (rows.X14 > 0).astype(int)
    rows.replace(-9, np.nan).to_csv(tmp_path / "heart.csv", index=False)
    ended = submit(
        "train_federated",
        *("--train", tmp_path / "heart.csv", "--silo", "hospital", "--label", "ill"),
        *("--features", "X1", "X2", "X4", "X8", "X9", "X10", "--handle-invalid", "skip"),
        *("--model", "glm", "--output", tmp_path / "out"),
    )
    assert ended.status == 0, ended.stderr[-2000:]
    found = json.loads((tmp_path / "out" / "metrics.json").read_text())
    values = {
        "(intercept)": -0.33159260,
        "X1": 0.03092771,
        "X2": 1.41425088,
        "X4": -0.00179331,
        "X8": -0.02129028,
        "X9": 1.39389648,
        "X10": 0.61562157,
    }
    assert found["coefficients"] == pytest.approx(values, abs=1e-7)
    assert found["standard_errors"]["X1"] == pytest.approx(0.01047333, abs=1e-7)
    assert found["log_likelihood"] == pytest.approx(-405.39200521, abs=1e-7)


@pytest.mark.long
@pytest.mark.parametrize(
    ("options", "status"),
    [
        (["--label", "ill", "--silo", "hospitl"], 11),
        (["--label", "illl"], 11),
        (["--label", "ill", "--model", "bagging", "--estimator", "NoSuchTree"], 10),
        (["--label", "ill", "--min-silos", 9], 13),
    ],
    ids=str,
)
def test_bad_input_ends_with_its_status(tmp_path, options, status):
    ended, found = run(tmp_path, *options)
    assert ended.status == status, ended.stderr[-1000:]
    assert found["error"]["exit_status"] == status and found["error"]["hint"] is not None
