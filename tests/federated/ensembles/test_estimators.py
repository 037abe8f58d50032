"""Estimators over silos: what comes out equals training on all rows, and goes on where it was."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

import sparkml_dist as sd
from sparkml_dist.errors import SparkMLDistError
from sparkml_dist.federated import Federation


def frame():
    rng = np.random.default_rng(1)
    rows = pd.DataFrame(rng.normal(size=(200, 3)), columns=["a", "b", "c"])
    rows["kind"] = np.where(rows.a > rows.b, "left", "right")
    rows["number"] = rows.a - rows.b
    rows["silo"] = np.where(rows.c > 0.5, "north", np.where(rows.c > 0, "south", "west"))
    return rows


FEATURES = {"featuresCols": ["a", "b"]}


def in_memory(column="kind"):
    rows = frame()
    silos = {
        n: (own[["a", "b"]].to_numpy(), own[column].to_numpy()) for n, own in rows.groupby("silo")
    }
    return Federation.in_memory(
        silos, names=["a", "b"], label=column, regression=column == "number"
    )


@pytest.fixture(scope="module")
def rows(spark):
    return spark.createDataFrame(frame()).repartition(2).cache()


def test_naive_bayes_of_silos(rows, tmp_path):
    model = sd.FederatedNaiveBayes(labelCol="kind", modelDir=str(tmp_path / "m"), **FEATURES).fit(
        rows
    )
    local = frame()
    pooled = GaussianNB().fit(local[["a", "b"]], local.kind)
    found = model.to_sklearn().predict_proba(local[["a", "b"]])
    np.testing.assert_allclose(found, pooled.predict_proba(local[["a", "b"]]), atol=1e-9)
    assert model.summary["silos"] == ["north", "south", "west"]
    loaded = sd.load_model(str(tmp_path / "m"))
    scored = [r.predictedLabel for r in loaded.transform(rows).collect()]
    again = [r.predictedLabel for r in model.transform(rows).collect()]
    assert scored == again


@pytest.mark.long
def test_boosting_over_a_frame_is_that_in_memory(rows):
    pytest.importorskip("xgboost")
    own = sd.FederatedBoostingClassifier(labelCol="kind", numMembers=3, maxDepth=2, **FEATURES)
    one, other = own.fit(rows), own.fit_federated(in_memory())
    assert one.files[0].sha256 == other.files[0].sha256
    secure = own.copy({own.secure: True}).fit_federated(in_memory())
    np.testing.assert_allclose(secure.history["logloss"], other.history["logloss"], rtol=1e-5)


@pytest.mark.long
def test_regression_over_a_frame(rows):
    pytest.importorskip("xgboost")
    own = sd.FederatedBoostingRegressor(labelCol="number", numMembers=20, maxDepth=3, **FEATURES)
    model = own.fit(rows)
    assert model.history["rmse"][-1] < 0.3


@pytest.mark.long
def test_a_fit_goes_on_with_its_rounds(rows, tmp_path):
    given = {"labelCol": "kind", "federationDir": str(tmp_path / "f"), **FEATURES}
    first = sd.FederatedNaiveBayes(**given).fit(rows)
    ledgers = sorted((tmp_path / "f").rglob("*.json"))
    again = sd.FederatedNaiveBayes(**given).fit(rows)
    assert sorted((tmp_path / "f").rglob("*.json")) == ledgers
    assert first.files[0].sha256 == again.files[0].sha256


@pytest.mark.long
def test_votes_of_silos(rows):
    bagging = sd.FederatedBaggingClassifier(
        estimator=LogisticRegression(), labelCol="kind", numMembers=2, bootstrap=True, **FEATURES
    )
    model = bagging.fit(rows)
    assert model.numMembers == 6
    assert sum(model.weights) == pytest.approx(1)
    assert model.stagedAccuracy(rows)[-1] > 0.95


def test_what_cannot_be_is_refused_before_any_round():
    federation = in_memory()
    for wrong in (
        sd.FederatedBaggingClassifier(),
        sd.FederatedBaggingClassifier(estimator=LogisticRegression(), weighting="row"),
        sd.FederatedBaggingRegressor(estimator=LogisticRegression()),
        sd.FederatedNaiveBayes(alpha=-1.0),
        sd.FederatedNaiveBayes(minSilos=0),
        sd.FederatedBoostingClassifier(maxDepth=0),
    ):
        with pytest.raises(SparkMLDistError):
            wrong.fit_federated(federation)
    assert federation.round == 0
    with pytest.raises(SparkMLDistError) as error:
        sd.FederatedNaiveBayes().fit_federated(in_memory("number"))
    assert error.value.code == "task_differs"
