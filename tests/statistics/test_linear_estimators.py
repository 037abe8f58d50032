"""Linear models as estimators: from DataFrames and shards, saved, scored, by jobs and gangs."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

import sparkml_dist as sd
from sparkml_dist.errors import ConfigurationError, DataError
from tests.statistics import oracles
from tests.written import written


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(1)
    table = pd.DataFrame(
        {
            "size": rng.normal(size=90).round(1) + 0.2,
            "kind": [("b", "a", "c")[i % 3] for i in range(90)],
            "group": np.arange(90) % 10,
            "log_time": rng.random(90),
        }
    )
    mean = np.exp(0.5 * table["size"] + (table["kind"] == "c") + table["log_time"])
    table["count"] = rng.poisson(mean).astype(float)
    table["big"] = np.where(rng.random(90) < 1 / (1 + np.exp(-table["size"])), "yes", "no")
    return table


@pytest.fixture(scope="module")
def table(spark, frame):
    return spark.createDataFrame(frame).cache()


def design(frame):
    kinds = [(frame["kind"] == kind).astype(float) for kind in "bc"]
    return np.column_stack([np.ones(len(frame)), frame["size"], *kinds])


@pytest.mark.modes
def test_a_linear_regression_of_a_table(spark, frame, table, tmp_path):
    line = sd.LinearRegression(
        labelCol="count",
        featuresCols=["size", "kind"],
        categoricalCols=["kind"],
        covType="cluster",
        keyCol="group",
        numShards=3,
        form="jobs",
    )
    model = line.fit(table)
    assert model.terms == ["(intercept)", "size", "kind=b", "kind=c"]
    D, y = design(frame), frame["count"].to_numpy()
    bread = np.linalg.inv(D.T @ D)
    beta = bread @ (D.T @ y)
    # In doubles: the rounding of 0.1 to float32 would show in the eighth digit.
    assert list(model.coefficients.values()) == pytest.approx(beta, rel=1e-11)
    score = (y - D @ beta)[:, None] * D
    sums = np.array([score[frame["group"] == g].sum(axis=0) for g in range(10)])
    covariance = bread @ (sums.T @ sums) @ bread * (10 / 9) * (89 / 86)
    errors = np.sqrt(np.diag(covariance))
    assert list(model.standardErrors.values()) == pytest.approx(errors, rel=1e-10)
    found = model.transform(table).toPandas()
    assert found["prediction"].to_numpy() == pytest.approx(
        design(found) @ beta, rel=1e-12, abs=1e-12
    )
    model.save(str(tmp_path / "m"))
    again = sd.load_model(str(tmp_path / "m"))
    assert again.covariance.tobytes() == model.covariance.tobytes()
    assert str(again.summary()) == str(model.summary())
    assert again.to_sklearn().predict(frame) == pytest.approx(D @ beta)


@pytest.fixture(scope="module")
def poisson(spark, table):
    estimator = sd.GeneralizedLinearModel(
        family="poisson",
        labelCol="count",
        featuresCols=["size", "kind"],
        categoricalCols=["kind"],
        offsetCol="log_time",
        numShards=3,
        form="gang",
    )
    return estimator.fit(table)


def test_a_poisson_in_a_gang(poisson, frame, table):
    D, y = design(frame), frame["count"].to_numpy()
    mu = np.exp(D @ list(poisson.coefficients.values()) + frame["log_time"].to_numpy())
    assert np.abs(D.T @ (y - mu)).max() < 1e-7
    errors = np.sqrt(np.diag(np.linalg.inv(D.T @ (mu[:, None] * D))))
    assert list(poisson.standardErrors.values()) == pytest.approx(errors, rel=1e-7)
    assert poisson.summary["form"] == "gang"
    found = poisson.transform(table).toPandas()
    mu = np.exp(design(found) @ list(poisson.coefficients.values()) + found["log_time"])
    assert found["prediction"].to_numpy() == pytest.approx(mu.to_numpy())


def test_a_summary(poisson):
    text = str(poisson.summary(level=0.9))
    assert "Generalized linear model results" in text
    assert re.search(r"coef +std err +z +P>\|z\| +\[0.05 +0.95\]", text)
    for part in ("(intercept)", "kind=c", "Log-likelihood", "poisson", "kind=a"):
        assert part in text
    low, high = poisson.confidenceIntervals(0.9)["size"]
    assert f"{low:.4f}" in text and f"{high:.4f}" in text
    html = poisson.summary()._repr_html_()
    assert html.count("<tr>") > 5 and "<script" not in html
    assert poisson.summary["iterations"] > 1
    assert poisson._repr_html_()
    with pytest.raises(ConfigurationError, match="confidenceLevel"):
        poisson.confidenceIntervals(1.0)


def test_classes(spark, frame, table):
    logistic = sd.LogisticRegression(
        labelCol="big", featuresCols=["size"], numShards=2, form="jobs"
    )
    model = logistic.fit(table)
    assert model.classes == ["no", "yes"]
    D = np.column_stack([np.ones(90), frame["size"]])
    p = 1 / (1 + np.exp(-D @ list(model.coefficients.values())))
    assert np.abs(D.T @ ((frame["big"] == "yes") - p)).max() < 1e-7
    found = model.transform(table).toPandas()
    share = np.array([row[1] for row in found["probability"]])
    p = 1 / (1 + np.exp(-model.intercept - model.coefficients["size"] * found["size"]))
    assert share == pytest.approx(p.to_numpy(), rel=1e-6)
    assert set(found["predictedLabel"]) <= {"no", "yes"}


def test_the_same_bits_by_jobs_gangs_and_tasks(spark, tmp_path):
    """Newton steps feed on each other: a bit that differs in one shows in all that follow."""
    X, y = oracles.SPECTOR[:, :3], oracles.SPECTOR[:, 3]
    data = written(tmp_path / "d", X, y, shards=3, classes=(0, 1))
    jobs = sd.LogisticRegression(form="jobs").fit(data)
    gang = sd.LogisticRegression(form="gang", numRanks=2).fit(data)
    assert gang.summary["ranks"] == 2
    assert jobs.summary["form"] == "jobs"
    assert jobs.covariance.tobytes() == gang.covariance.tobytes()
    assert jobs.coefficients == gang.coefficients
    assert jobs.logLikelihood == pytest.approx(-12.889634, abs=5e-7)


@pytest.mark.long
def test_a_penalty_by_cross_validation(spark, tmp_path):
    rng = np.random.default_rng(3)
    X = rng.normal(size=(120, 3))
    y = X[:, 0] + 0.5 * rng.normal(size=120)
    data = written(tmp_path / "d", X, y, shards=2, groups=1)
    net = sd.LinearRegression(alphas=[1.0, 0.1, 0.01], l1Ratio=1.0, numFolds=3, form="gang")
    model = net.fit(data)
    path = {row["alpha"]: row for row in model.summary["path"]}
    assert list(path) == [1.0, 0.1, 0.01]
    assert model.summary["alpha"] == min(path, key=lambda a: path[a]["deviance"])
    assert path[1.0]["deviance"] > path[0.1]["deviance"]
    chosen = path[model.summary["alpha"]]["coefficients"]
    assert chosen == pytest.approx(model.coefficients, abs=1e-9)
    assert sum(b != 0 for b in path[1.0]["coefficients"].values()) <= 2
    with pytest.raises(ConfigurationError, match="no standard errors") as caught:
        _ = model.standardErrors
    assert caught.value.code == "not_kept"
    assert "There are no standard errors" in str(model.summary())


def test_what_is_refused_before_any_job(spark, tmp_path):
    X = np.column_stack([np.arange(12.0), np.arange(12.0) % 5])
    data = written(tmp_path / "d", X, X[:, 0], categories={"x1": tuple("abcde")}, shards=2)
    for given, code in (
        ({"covType": "HC4"}, "invalid_param"),
        ({"l1Ratio": 0.5}, "conflicting_params"),
        ({"alpha": 1.0, "covType": "HC3"}, "conflicting_params"),
        ({"covType": "cluster"}, "conflicting_params"),
        ({"maxCategories": 4}, "too_many_categories"),
        ({"alphas": []}, "invalid_param"),
    ):
        with pytest.raises((ConfigurationError, DataError)) as caught:
            sd.LinearRegression(**given).fit(data)
        assert caught.value.code == code, given
    with pytest.raises(ConfigurationError) as caught:
        sd.GeneralizedLinearModel(family="poisson", link="logit").fit(data)
    assert caught.value.code == "link_not_of_family"
    with pytest.raises(DataError, match="offset"):
        sd.GeneralizedLinearModel(offsetCol="time").fit(data)
    with pytest.raises(ConfigurationError, match="linear regressions"):
        sd.LogisticRegression(solver="admm").fit(data)


def test_rows_that_cannot_be_scored(spark, tmp_path, frame, table):
    line = sd.LinearRegression(
        labelCol="count",
        featuresCols=["size", "kind"],
        categoricalCols=["kind"],
        numShards=2,
        form="jobs",
    )
    local = line.fit(table).to_sklearn()
    holes = frame.head(4).copy()
    holes.loc[1, "size"] = np.nan
    with pytest.raises(DataError) as caught:
        local.predict(holes)
    assert caught.value.code == "missing_values"
    holes = frame.head(4).copy()
    holes.loc[1, "kind"] = "new"
    with pytest.raises(DataError, match="'kind'") as caught:
        local.predict(holes)
    assert caught.value.code == "unseen_category"
