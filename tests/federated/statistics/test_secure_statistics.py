"""Statistics whose coordinator sees masked sums only."""

from __future__ import annotations

import numpy as np
import pytest

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.federated import SiloPolicy
from sparkml_dist.federated.privacy import SecureSum
from sparkml_dist.federated.statistics import (
    federated_anova,
    federated_counts,
    federated_cox,
    federated_glm,
    federated_histogram,
    federated_kaplan_meier,
    federated_log_rank,
    federated_moments,
    federated_pca,
    federated_quantiles,
)
from tests.federated.statistics.silos import COLUMNS, cut, leukemia, sample

X, y = sample(200)
X = X - [1e6, 0.0, 0.0]


def secure():
    return SecureSum(threshold=3, range=1e8, bits=64)


@pytest.fixture(scope="module")
def federation():
    return cut(X, y == 1, 3, policy=SiloPolicy(secure_only=True, tell_errors=True), **COLUMNS)


@pytest.fixture(scope="module")
def plain():
    return cut(X, y == 1, 3, **COLUMNS)


def test_sums_are_those_without_masks(federation, plain):
    one, two = (federated_moments(f, secure=s) for f, s in ((federation, secure()), (plain, None)))
    assert one.to_numpy() == pytest.approx(two.to_numpy(), rel=1e-9)
    kept = {"column": "c", "by": "label"}
    one, two = (
        federated_counts(f, secure=s, **kept) for f, s in ((federation, secure()), (plain, None))
    )
    assert (one == two).all().all()
    found = federated_histogram(federation, column="b", edges=[0, 5, 9], secure=secure())
    assert found["count"].tolist() == np.histogram(X[:, 1], [0, 5, 9])[0].tolist()
    found = federated_anova(federation, valueCol="b", groupCol="c", secure=secure())
    true = federated_anova(plain, valueCol="b", groupCol="c")
    assert found.statistic == pytest.approx(true.statistic, rel=1e-9)
    parts = federated_pca(federation, columns=["a", "b"], secure=secure())
    assert parts.variances == pytest.approx(
        federated_pca(plain, columns=["a", "b"]).variances, rel=1e-9
    )


def test_a_linear_model(federation, plain):
    given = {"featuresCols": ["a", "b"], "handleInvalid": "skip"}
    model = federated_glm(federation, secure=secure(), **given)
    other = federated_glm(plain, **given)
    assert model.coefficients == pytest.approx(other.coefficients, rel=1e-7)
    assert model.standardErrors == pytest.approx(other.standardErrors, rel=1e-7)
    kinds = set(federation.audit()["kind"])
    assert not kinds & {"glm_pass", "moments", "table"}  # only masked words left


def test_survival_and_quantiles_without_values():
    federation = leukemia(3)
    grid = {"times": [float(t) for t in range(36)], "secure": secure()}
    names = {"timeCol": "time", "eventCol": "event"}
    found = federated_log_rank(federation, **names, groupCol="group", **grid)
    assert found.statistic == pytest.approx(16.7929, abs=5e-5)
    cox = federated_cox(federation, **names, featuresCols=["group"], **grid)
    assert cox.coefficients["group=placebo"] == pytest.approx(1.5721, abs=5e-5)
    median = federated_quantiles(
        federation, column="time", probabilities=[0.5], method="counts", secure=secure()
    )
    assert median.loc[0.5, "value"] == 10.0
    for call, given in (
        (federated_quantiles, {"column": "time"}),
        (federated_kaplan_meier, names),
    ):
        with pytest.raises(ConfigurationError) as caught:
            call(federation, secure=secure(), **given)
        assert caught.value.code == "conflicting_params"
