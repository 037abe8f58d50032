"""Statistics of columns over silos against those of the pooled rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.federated import SiloPolicy
from sparkml_dist.federated.statistics import (
    federated_anova,
    federated_contingency_test,
    federated_correlation,
    federated_correlation_test,
    federated_counts,
    federated_histogram,
    federated_moments,
    federated_pca,
    federated_quantiles,
    federated_t_test,
)
from tests.federated.statistics.silos import COLUMNS, cut, heart, sample
from tests.long import cases

X, y = sample()
ROWS = pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "c": X[:, 2], "label": y})
pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(scope="module", params=cases([1, 3, 4], [3]))
def federation(request):
    return cut(X, y, request.param, **COLUMNS)


def test_moments(federation):
    found = federated_moments(federation)
    assert list(found.index) == ["a", "b"]
    assert found["count"].tolist() == ROWS[["a", "b"]].count().tolist()
    assert found["missing"].tolist() == ROWS[["a", "b"]].isna().sum().tolist()
    assert found["mean"].to_numpy() == pytest.approx(ROWS[["a", "b"]].mean().to_numpy(), rel=1e-15)
    # The mean is 5e5 deviations: squares around 0 would leave four digits.
    away = ROWS["a"] - 1e6
    assert found.loc["a", "variance"] == pytest.approx(away.var(), rel=1e-12)
    assert found.attrs["silos"] == federation.names and found.attrs["rounds"] == 2


def test_moments_of_the_label(federation):
    found = federated_moments(federation, columns=["label"])
    assert found.loc["label", "mean"] == pytest.approx(y.mean(), rel=1e-15)


def test_counts_and_the_test_of_independence(federation):
    table = federated_counts(federation, column="c", by="label")
    true = pd.crosstab(ROWS["c"], ROWS["label"]).to_numpy()
    assert table.index.tolist() == ["p", "q", "r", "s"] and table.columns.tolist() == list("012")
    assert (table.to_numpy() == true).all()
    for method, scale in (("pearson", 1.0), ("likelihood", "log-likelihood")):
        found = federated_contingency_test(federation, rowCol="c", columnCol="label", method=method)
        true_test = stats.chi2_contingency(true, correction=False, lambda_=scale)
        assert found.statistic == pytest.approx(true_test.statistic, rel=1e-12)
        assert found.pValue == pytest.approx(true_test.pvalue, rel=1e-10)


def test_histogram(federation):
    edges = [0.5, 2.0, 5.0, 9.0, ROWS["b"].max()]
    found = federated_histogram(federation, column="b", edges=edges)
    assert found["count"].tolist() == np.histogram(ROWS["b"], edges)[0].tolist()
    assert found.attrs["below"] == (ROWS["b"] < 0.5).sum() and found.attrs["above"] == 0
    assert federated_histogram(federation, column="a", edges=[0, 1]).attrs["missing"] == (
        ROWS["a"].isna().sum()
    )


def test_correlation_and_components(federation):
    whole = ROWS[["a", "b", "label"]].dropna()
    names = list(whole.columns)
    near = whole - [1e6, 0, 0]  # the same covariances, which plain sums get right
    found = federated_correlation(federation, columns=names)
    assert found.to_numpy() == pytest.approx(near.corr().to_numpy(), abs=1e-12)
    spread = federated_correlation(federation, columns=names, covariance=True)
    assert spread.to_numpy() == pytest.approx(near.cov().to_numpy(), rel=1e-9)
    test = federated_correlation_test(federation, firstCol="a", secondCol="b")
    true = stats.pearsonr(whole["a"] - 1e6, whole["b"])
    assert (test.statistic > 0) == (true.statistic > 0)
    assert test.pValue == pytest.approx(true.pvalue, rel=1e-9)
    parts = federated_pca(federation, columns=names, standardize=True)
    values = np.linalg.eigvalsh(near.corr())[::-1]
    assert parts.variances == pytest.approx(values, rel=1e-9)
    scores = parts.scores(whole)
    assert np.cov(scores.T) == pytest.approx(np.diag(values), abs=1e-9)


def test_groups(federation):
    known = ROWS.dropna(subset=["a", "c"])
    groups = [part["a"] - 1e6 for _, part in known.groupby("c")]
    found = federated_anova(federation, valueCol="a", groupCol="c")
    true = stats.f_oneway(*groups)
    assert found.statistic == pytest.approx(true.statistic, rel=1e-8)
    assert found.pValue == pytest.approx(true.pvalue, rel=1e-8)
    assert found.rows == len(known)


def test_two_groups():
    two = cut(X[y < 2], y[y < 2], 3, **COLUMNS)
    parts = [ROWS["b"][y == i] for i in (0, 1)]
    for equal in (False, True):
        found = federated_t_test(two, valueCol="b", groupCol="label", equalVariance=equal)
        true = stats.ttest_ind(*parts, equal_var=equal)
        assert (found.statistic, found.pValue) == pytest.approx((true.statistic, true.pvalue))


@pytest.mark.parametrize("column", ["a", "b", "label"])
def test_quantiles_by_counts_are_exact(federation, column):
    p = [0.0, 0.01, 0.25, 0.5, 0.9, 1.0]
    found = federated_quantiles(federation, column=column, probabilities=p, method="counts")
    true = np.quantile(ROWS[column].dropna(), p, method="inverted_cdf")
    assert found["value"].tolist() == true.tolist()


def test_quantiles_by_sketches():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(size=20_000), -rng.exponential(size=4_000), [0.0, -0.0]])
    federation = cut(values[:, None], np.zeros(len(values), int), 3)
    p = np.linspace(0.05, 0.95, 19)
    found = federated_quantiles(federation, column="x0", probabilities=p)
    assert 0 < found.attrs["rank_error"] < 0.02
    ranks = np.searchsorted(np.sort(values), found["value"]) / len(values)
    assert np.abs(ranks - p).max() <= 2 * found.attrs["rank_error"]
    true = np.quantile(values, p, method="inverted_cdf")
    assert ((found["low"] <= true) & (true <= found["high"])).mean() > 0.9
    few = cut(X, y, 3, **COLUMNS)
    exact = federated_quantiles(few, column="b", probabilities=p, k=1024)
    assert exact.attrs["rank_error"] == 0
    assert exact["value"].tolist() == np.quantile(X[:, 1], p, method="inverted_cdf").tolist()


def test_a_sketch_is_checked():
    def forged(answer, request):
        from dataclasses import replace

        if request.kind != "quantile_sketch":
            return answer
        return replace(answer, arrays={**answer.arrays, "values": answer.arrays["values"][::-1]})

    federation = cut(X, y, 2, alter={"silo-1": forged}, **COLUMNS)
    with pytest.raises(DataError, match="no sketch") as caught:
        federated_quantiles(federation, column="b")
    assert caught.value.code == "silo_not_finite"


def test_small_cells_do_not_leave():
    federation = cut(X, y, 3, **COLUMNS)
    table = federated_counts(federation, column="c", minimumCount=5)
    whole = federated_counts(federation, column="c")
    hidden = np.array(table.attrs["suppressed"])
    assert hidden[3] > 0 and table.loc["s", "count"] == 0 < whole.loc["s", "count"]
    assert (table["count"][hidden == 0] == whole["count"][hidden == 0]).all()
    # A silo's own rule holds whatever is asked for.
    strict = cut(X, y, 3, policy=SiloPolicy(least_count=5), **COLUMNS)
    assert (federated_counts(strict, column="c") == table).all().all()
    tests = federated_contingency_test(strict, rowCol="c", columnCol="label")
    assert tests.estimates["suppressed_cells"] > 0
    found = federated_anova(strict, valueCol="b", groupCol="c")
    assert found.estimates["suppressed"]["s"] > 0 and "s" not in found.estimates["means"]
    few = cut(X[:30], y[:30], 4, policy=SiloPolicy(least_count=10), **COLUMNS)
    assert federated_moments(few).loc["b", "suppressed_silos"] > 0


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda f: federated_moments(f, columns=["c"]), "column_type"),
        (lambda f: federated_moments(f, columns=["aa"]), "column_not_found"),
        (lambda f: federated_counts(f, column="a"), "column_type"),
        (lambda f: federated_counts(f, column="c", minimumCount=0), "invalid_param"),
        (lambda f: federated_histogram(f, column="a", edges=[1, 1]), "invalid_param"),
        (lambda f: federated_quantiles(f, column="a", probabilities=[2]), "invalid_param"),
        (lambda f: federated_quantiles(f, column="a", k=3), "invalid_param"),
        (lambda f: federated_pca(f, k=9), "invalid_param"),
        (lambda f: federated_moments(f, minimumSilos=9), "invalid_param"),
        (lambda f: federated_anova(f, valueCol="c", groupCol="c"), "column_type"),
    ],
)
def test_refusals_come_before_the_first_round(call, code):
    federation = cut(X, y, 2, **COLUMNS)
    _ = federation.schema
    before = federation.round
    with pytest.raises((ConfigurationError, DataError)) as caught:
        call(federation)
    assert caught.value.code == code and federation.round == before


def test_four_hospitals():
    federation = heart()
    assert federated_moments(federation, columns=["age"])["mean"].round(2).to_dict() == {
        "age": 53.51
    }
    assert federated_counts(federation, column="sick")["count"].to_dict() == {"0": 411, "1": 509}
    found = federated_histogram(federation, column="age", edges=[20, 40, 60, 80])
    assert found["count"].tolist() == [80, 587, 253]
    table = federated_correlation(federation, columns=["age", "thalach"])
    assert round(table.loc["age", "thalach"], 4) == -0.3658
    found = federated_quantiles(federation, column="age", method="counts")
    assert found["value"].tolist() == [47.0, 54.0, 60.0]
