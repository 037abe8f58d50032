"""Tests of hypotheses against SciPy's, on a table with missing values."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import sparkml_dist as sd
from sparkml_dist.errors import ConfigurationError, DataError


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(4)
    table = pd.DataFrame({"kind": np.array(list("abc"))[rng.integers(0, 3, 80)]})
    table["x"] = rng.normal(size=80) + (table["kind"] == "b") + 1e6
    table["y"] = table["x"] + rng.normal(size=80)
    table["flag"] = rng.integers(0, 2, 80)
    table.loc[3, "x"] = None
    table.loc[5, "kind"] = None
    return table


@pytest.fixture(scope="module")
def table(spark, frame):
    known = frame.astype(object).where(frame.notna(), None)
    rows = [tuple(row) for row in known.itertuples(index=False)]
    return spark.createDataFrame(rows, "kind string, x double, y double, flag int").cache()


@pytest.mark.parametrize("equal", [False, True])
def test_two_means(frame, table, equal):
    whole = frame.dropna()
    a, b = (whole["x"][whole["kind"] == k] for k in "ab")
    true = stats.ttest_ind(a, b, equal_var=equal)
    two = table.where("kind != 'c' OR kind IS NULL")
    found = sd.t_test(two, valueCol="x", groupCol="kind", equalVariance=equal)
    assert found.statistic == pytest.approx(true.statistic, rel=1e-7)
    assert found.pValue == pytest.approx(true.pvalue, rel=1e-6)
    assert found.degreesOfFreedom[0] == pytest.approx(true.df, rel=1e-7)
    assert found.rows == len(a) + len(b)
    assert "t test" in str(found)


def test_several_means(frame, table):
    whole = frame.dropna()
    groups = [part["x"] for _, part in whole.groupby("kind")]
    true = stats.f_oneway(*groups)
    found = sd.anova(table, valueCol="x", groupCol="kind")
    assert (found.statistic, found.pValue) == pytest.approx((true.statistic, true.pvalue), rel=1e-6)
    n, v = np.array([len(g) for g in groups]), np.array([g.var() for g in groups])
    m, w = np.array([g.mean() for g in groups]), n / v
    grand = w @ m / w.sum()
    loss = ((1 - w / w.sum()) ** 2 / (n - 1)).sum()
    value = (w @ (m - grand) ** 2 / 2) / (1 + 2 / 8 * loss)
    found = sd.anova(table, valueCol="x", groupCol="kind", equalVariance=False)
    assert found.statistic == pytest.approx(value, rel=1e-6)
    assert found.degreesOfFreedom == pytest.approx((2, 8 / (3 * loss)), rel=1e-7)


def test_independence(frame, table):
    counts = pd.crosstab(frame["kind"], frame["flag"]).to_numpy()
    for method, power in (("pearson", "pearson"), ("likelihood", "log-likelihood")):
        true = stats.chi2_contingency(counts, correction=False, lambda_=power)
        found = sd.contingency_test(table, rowCol="kind", columnCol="flag", method=method)
        assert (found.statistic, found.pValue) == pytest.approx(true[:2], rel=1e-9)
        assert found.estimates["table"] == counts.tolist()
    assert found.estimates["cramers_v"] == pytest.approx(
        stats.contingency.association(counts, method="cramer")
    )


def test_correlation(frame, table):
    whole = frame[["x", "y"]].dropna()
    true = stats.pearsonr(whole["x"], whole["y"])
    found = sd.correlation_test(table, firstCol="x", secondCol="y")
    assert found.estimates["correlation"] == pytest.approx(true.statistic, rel=1e-9)
    assert found.pValue == pytest.approx(true.pvalue, rel=1e-6)
    interval = true.confidence_interval(0.95)
    assert found.estimates["interval"] == pytest.approx((interval.low, interval.high), rel=1e-8)


def test_what_cannot_be_compared(table):
    for wrong, code in (
        (lambda: sd.t_test(table, valueCol="x", groupCol="kind"), "group_count"),
        (lambda: sd.t_test(table, valueCol="x", groupCol="kid"), "column_not_found"),
        (lambda: sd.anova(table.where("kind = 'a'"), valueCol="x", groupCol="kind"), "group_count"),
        (
            lambda: sd.correlation_test(table.limit(2), firstCol="x", secondCol="y"),
            "too_few_rows",
        ),
        (
            lambda: sd.contingency_test(table, rowCol="kind", columnCol="flag", method="x"),
            "invalid_param",
        ),
    ):
        with pytest.raises((DataError, ConfigurationError)) as caught:
            wrong()
        assert caught.value.code == code
