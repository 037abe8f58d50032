"""Tables as they come: few rows, infinite numbers, labels far from zero, names of all kinds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sparkml_dist import AutoClassifier, AutoRegressor, TableFeatures
from sparkml_dist.errors import ConfigurationError

pytestmark = pytest.mark.long

QUICK = {"numTrials": 2, "families": ["linear", "neighbors"], "seed": 1}


@pytest.mark.parametrize("rows", [4, 12])
def test_few_rows(spark, rows):
    table = spark.createDataFrame(
        [(float(i), i % 2 + 0.1 * i, i % 2) for i in range(rows)], "a double, b double, label int"
    )
    model = AutoClassifier(**QUICK).fit(table)
    assert model.transform(table).where("prediction is not null").count() == rows


def test_infinite_and_enormous_numbers_are_missing(spark):
    x = np.random.default_rng(0).normal(size=120)
    rows = [
        (
            float("inf") if i % 10 == 0 else float("-inf") if i % 10 == 1 else float(v),
            1e300 if i % 4 == 0 else float(v),
            float(v) if i % 3 else float("nan"),
            int(v > 0),
        )
        for i, v in enumerate(x)
    ]
    table = spark.createDataFrame(rows, "x double, `big.ger` double, nan double, label int")
    features = TableFeatures().fit(table)
    assert features.featureColumns == ["x_finite", "big.ger_finite", "nan"]
    assert {name for name, what in features.alerts if "infinite or" in what} == {"x", "big.ger"}
    made = features.transform(table).toPandas()
    expected = np.where(np.isinf(made["x"]), np.nan, made["x"])
    np.testing.assert_array_equal(made["x_finite"], expected)
    assert made["big.ger_finite"].isna().sum() == 30
    model = AutoClassifier(**QUICK).fit(table)
    assert model.scores["auc"] > 0.9
    with pytest.raises(ConfigurationError) as caught:
        model.to_sklearn()
    assert caught.value.code == "needs_spark"


def test_a_regression_of_a_label_far_from_zero(spark):
    x = np.random.default_rng(0).normal(size=(300, 2))
    frame = pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "label": 1.7e9 + x[:, 0]})
    model = AutoRegressor(**QUICK).fit(spark.createDataFrame(frame))
    assert model.scores["r2"] > 0.95
    assert any("far from zero" in alert for name, alert in model.alerts if name == "label")
    best = min(abs(row["score"]) for row in model.leaderboardTable())
    assert model.scores["rmse"] == pytest.approx(best, rel=0.2)
