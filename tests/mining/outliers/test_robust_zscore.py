"""Robust z-scores: the formulas of Iglewicz and Hoaglin, columns of few values, bad input."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.mining import RobustZScore, RobustZScoreModel


def table(n=301):
    """A column of a heavy tail, one that is mostly zero, and one of one value."""
    rng = np.random.default_rng(4)
    counts = np.where(rng.random(n) < 0.2, rng.integers(1, 9, n), 0)
    return pd.DataFrame(
        {"id": range(n), "x": rng.standard_t(2, n) + 3, "count": counts.astype(float), "one": 0.1}
    )


def by_hand(values):
    deviation = np.abs(values - np.median(values))
    if np.median(deviation) > 0:
        return 0.6745 * (values - np.median(values)) / np.median(deviation)
    if np.ptp(values) == 0:
        return np.zeros(len(values))
    return (values - np.median(values)) / (1.253314 * deviation.mean())


@pytest.mark.modes("connect")
def test_scores_are_those_of_the_formulas(spark, tmp_path, caplog):
    for n in (300, 301):
        data = table(n)
        df = spark.createDataFrame(data).repartition(3)
        names = ["x", "count", "one"]
        model = RobustZScore(featuresCols=names, zScoresCol="z").fit(df)
        z = np.stack([by_hand(data[name].to_numpy()) for name in names], axis=1)
        found = model.transform(df).orderBy("id").toPandas()
        assert np.stack(found["z"]) == pytest.approx(z)
        assert found["outlierScore"].to_numpy() == pytest.approx(np.abs(z).max(axis=1))
        worst = [names[i] for i in np.abs(z).argmax(axis=1)]
        assert found["outlierColumn"].tolist() == worst
        assert (found["prediction"] == (np.abs(z).max(axis=1) > 3.5)).all()
    assert "1 of 3 columns are constant" in caplog.text
    assert model.summary["zero_mad_columns"] == 1
    model.save(str(tmp_path / "z"))
    again = RobustZScoreModel.load(str(tmp_path / "z"))
    assert (
        again.transform(df)
        .orderBy("id")
        .toPandas()
        .drop(columns="z")
        .equals(found.drop(columns="z"))
    )
    assert again.score(data[names]) == pytest.approx(found["outlierScore"].to_numpy())


def test_the_sketch_keeps_to_its_error(spark, monkeypatch):
    from sparkml_dist.mining.outliers import robust_zscore

    monkeypatch.setattr(robust_zscore, "_EXACT_VALUES", 0)
    values = np.random.default_rng(0).lognormal(size=20_000)
    df = spark.createDataFrame(pd.DataFrame({"x": values})).repartition(3)
    model = RobustZScore(relativeError=0.01).fit(df)
    assert model.summary["relative_error"] == 0.01
    assert abs((values < model.medians[0]).mean() - 0.5) <= 0.01
    deviation = np.abs(values - model.medians[0])
    assert abs((deviation < model.scales[0] * 0.6745).mean() - 0.5) <= 0.01


def test_a_share_of_outliers(spark):
    df = spark.createDataFrame(table())
    model = RobustZScore(featuresCols=["x"], contamination=0.1).fit(df)
    assert abs(model.transform(df).where("prediction = 1").count() - 30) <= 4


def test_a_column_of_one_value_alone(spark):
    df = spark.createDataFrame([(0.1,)] * 7, "x double")
    found = RobustZScore().fit(df).transform(df).select("outlierScore", "prediction").distinct()
    assert [tuple(row) for row in found.collect()] == [(0.0, 0.0)]


def test_what_does_not_go(spark):
    with pytest.raises(ConfigurationError, match=r"relativeError must be in \[0, 1\]"):
        RobustZScore(relativeError=-1.0).fit(spark.range(3))
    with pytest.raises(ConfigurationError, match="contamination must be in"):
        RobustZScore(contamination=0.0).fit(spark.range(3))
    with pytest.raises(DataError, match="no rows"):
        RobustZScore().fit(spark.createDataFrame([], "x double"))
    with pytest.raises(DataError, match="1 of 2 rows have null, NaN or infinite values in x"):
        RobustZScore().fit(spark.createDataFrame([(1.0,), (None,)], "x double"))
