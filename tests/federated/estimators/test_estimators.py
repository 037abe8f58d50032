"""Federated estimators on DataFrames: silos of a column, one job for each round."""

from __future__ import annotations

import numpy as np
import pytest

import sparkml_dist as sd
from sparkml_dist.errors import ConfigurationError, DataError


@pytest.fixture(scope="module")
def table(spark):
    rng = np.random.default_rng(0)
    rows = [
        (f"site {i % 3}", float(x), "abc"[int(k)], "on" if x + (k == 2) > 0.5 else "off")
        for i, (x, k) in enumerate(zip(rng.normal(size=90), rng.integers(0, 3, 90), strict=True))
    ]
    return spark.createDataFrame(rows, "site string, x double, kind string, label string")


def test_silos_of_a_column_train_a_model_that_scores_rows(spark, table):
    given = {"siloCol": "site", "categoricalCols": ["kind"], "rounds": 2, "learningRate": 3.0}
    model = sd.FederatedClassifier(**given, evaluateEvery=2, batchSize=8).fit(table)
    scored = model.transform(table).select("label", "predictedLabel").toPandas()
    hits = (scored["label"] == scored["predictedLabel"]).mean()
    assert hits == pytest.approx(model.rounds["accuracy"].iloc[-1], abs=1e-9) and hits > 0.85
    assert set(model.silos["silo"]) == {"site 0", "site 1", "site 2"}


def test_what_cannot_be_is_refused_before_a_job(spark, table):
    with pytest.raises(DataError, match="column_not_found"):
        sd.FederatedClassifier(siloCol="hospital").fit(table)
    with pytest.raises(ConfigurationError, match="invalid_param"):
        sd.FederatedClassifier(siloCol="site", rounds=0).fit(table)


@pytest.mark.long
def test_a_network_of_silos_scores_rows(spark, table):
    given = {"siloCol": "site", "featuresCols": ["x"], "rounds": 3, "learningRate": 0.2}
    model = sd.FederatedClassifier(model="mlp", **given).fit(table)
    scored = model.transform(table).select("label", "predictedLabel").toPandas()
    hits = (scored["label"] == scored["predictedLabel"]).mean()
    assert hits == pytest.approx(model.rounds["accuracy"].iloc[-1], abs=1e-9) and hits > 0.7
