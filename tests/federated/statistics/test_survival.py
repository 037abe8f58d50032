"""Survival over silos against published values and the pooled rows."""

from __future__ import annotations

import numpy as np
import pytest

from sparkml_dist.errors import SparkMLDistError
from sparkml_dist.federated import SiloPolicy
from sparkml_dist.federated.statistics import (
    federated_cox,
    federated_kaplan_meier,
    federated_log_rank,
)
from tests.federated.statistics.silos import LEUKEMIA, cut, leukemia
from tests.long import cases

NAMES = {"timeCol": "time", "eventCol": "event"}
pytestmark = pytest.mark.filterwarnings("error")


def pooled_likelihood(time, event, x, beta, ties, strata=None):
    """Return the partial likelihood row by row."""
    strata = np.zeros(len(time)) if strata is None else strata
    total = 0.0
    for s in np.unique(strata):
        t, e, z = time[strata == s], event[strata == s] == 1, x[strata == s]
        for at in np.unique(t[e]):
            dead = e & (t == at)
            risk, tied = np.exp(z[t >= at] @ beta).sum(), np.exp(z[dead] @ beta).sum()
            total += (z[dead] @ beta).sum()
            d = dead.sum()
            for i in range(d):
                total -= np.log(risk - (i / d * tied if ties == "efron" else 0.0))
    return total


@pytest.mark.parametrize("silos", cases([1, 3, 4], [3]))
def test_leukemia(silos):
    federation = leukemia(silos)
    test = federated_log_rank(federation, **NAMES, groupCol="group")
    assert test.statistic == pytest.approx(16.7929, abs=5e-5)
    assert test.estimates["observed"] == {"drug": 9, "placebo": 21}
    assert test.estimates["expected"]["drug"] == pytest.approx(19.25, abs=5e-3)
    # Published: coefficient, standard error, log-likelihoods (R, survival).
    values = {
        "efron": (1.5721, 0.4124, -93.18427, -85.00842),
        "breslow": (1.5092, 0.4096, -93.98505, -86.37962),
    }
    for ties, (beta, error, null, full) in values.items():
        found = federated_cox(federation, **NAMES, featuresCols=["group"], ties=ties)
        assert found.coefficients["group=placebo"] == pytest.approx(beta, abs=5e-5)
        assert found.standardErrors["group=placebo"] == pytest.approx(error, abs=5e-5)
        assert found.nullLogLikelihood == pytest.approx(null, abs=5e-6)
        assert found.logLikelihood == pytest.approx(full, abs=5e-6)
        assert found.events == 30 and "placebo" in str(found.summary())
    # By the label in place of the column.
    again = federated_cox(
        federation, timeCol="time", eventCol="status", featuresCols=["group"], ties="breslow"
    )
    assert again.coefficients == pytest.approx(found.coefficients, rel=1e-12)


def test_kaplan_meier_of_leukemia():
    found = federated_kaplan_meier(leukemia(3), **NAMES, groupCol="group", interval="log")
    drug = found[(found["group"] == "drug") & (found["events"] > 0)]
    # Kalbfleisch and Prentice, and R's survfit.
    assert drug["time"].tolist() == [6, 7, 10, 13, 16, 22, 23]
    assert drug["at_risk"].tolist() == [21, 17, 15, 12, 11, 7, 6]
    true = [0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448]
    assert drug["survival"].to_numpy() == pytest.approx(true, abs=5e-4)
    true = [0.0764, 0.0869, 0.0963, 0.1068, 0.1141, 0.1282, 0.1346]
    assert drug["standard_error"].to_numpy() == pytest.approx(true, abs=5e-5)
    assert drug["low"].to_numpy()[[0, 6]] == pytest.approx([0.720, 0.249], abs=5e-4)
    assert drug["high"].to_numpy()[[0, 6]] == pytest.approx([1.0, 0.807], abs=2e-2)
    assert found.attrs["medians"] == {"drug": 23.0, "placebo": 8.0}
    whole = federated_kaplan_meier(leukemia(1), **NAMES, groupCol="group", interval="log")
    assert (whole == found).to_numpy()[found.notna().to_numpy()].all()


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_cox_with_several_columns(ties):
    rng = np.random.default_rng(2)
    n = 300
    x = np.column_stack([rng.normal(1000.0, 1.0, n), rng.gamma(2.0, 1.0, n)])
    time = np.ceil(rng.exponential(np.exp(-0.7 * (x[:, 0] - 1000) + 0.4 * x[:, 1])) * 8)
    event = (rng.random(n) < 0.8).astype(int)
    rows = np.column_stack([time, x])
    rows[7, 1] = np.nan
    federation = cut(rows, event, 3, names=["time", "a", "b"], label="died")
    given = {"timeCol": "time", "eventCol": "died", "ties": ties, "handleInvalid": "skip"}
    found = federated_cox(federation, **given)
    whole = np.arange(n) != 7
    parts = (time[whole], event[whole], x[whole] - x[whole].mean(axis=0))
    beta = found.inference.coefficients
    assert pooled_likelihood(*parts, beta, ties) == pytest.approx(found.logLikelihood, rel=1e-12)
    place = np.minimum(np.random.default_rng(3).geometric(0.4, n) - 1, 2)[whole]
    by_silo = federated_cox(federation, strata="silo", **given)
    assert by_silo.facts["bytes_per_silo_round"] < 400 and by_silo.baseline is None
    step = 1e-5
    for result, strata in ((found, None), (by_silo, place)):
        beta = result.inference.coefficients

        def value(b, strata=strata):
            return pooled_likelihood(*parts, b, ties, strata)

        def slope(b, value=value):
            units = np.eye(2) * step
            return np.array([(value(b + u) - value(b - u)) / (2 * step) for u in units])

        assert value(beta) == pytest.approx(result.logLikelihood, rel=1e-12)
        assert np.abs(slope(beta)).max() < 1e-5
        curve = [(slope(beta + u) - slope(beta - u)) / (2 * 1e-3) for u in np.eye(2) * 1e-3]
        assert np.linalg.inv(-np.array(curve)) == pytest.approx(result.covariance, rel=1e-3)
    hazard = found.baseline.set_index("time")["cumulative_hazard"]
    assert (np.diff(hazard) > 0).all()


def test_a_grid_is_the_exact_result_of_rounded_times():
    grid = [0.0, 4.0, 8.0, 12.0, 16.0, 24.0]
    rounded = LEUKEMIA.copy()
    place = np.searchsorted(grid, rounded[:, 0])
    beyond = place == len(grid)
    rounded[:, 0] = np.where(beyond, 99.0, np.array([*grid, 0.0])[place])
    rounded[beyond, 1] = 0
    shape = {"names": ["time", "event", "group"], "categories": {"group": ["drug", "placebo"]}}
    plain = cut(rounded, np.zeros(42, int), 2, **shape)
    federation = leukemia(3)
    before = federation.round
    found = federated_log_rank(federation, **NAMES, groupCol="group", times=grid)
    assert found.estimates["rounds"] == 1
    assert "event_times" not in set(federation.audit()["kind"][before:])
    true = federated_log_rank(plain, **NAMES, groupCol="group")
    assert found.statistic == pytest.approx(true.statistic, rel=1e-12)
    cox = [
        federated_cox(f, **NAMES, featuresCols=["group"], **more)
        for f, more in ((federation, {"times": grid}), (plain, {}))
    ]
    assert cox[0].coefficients == pytest.approx(cox[1].coefficients, rel=1e-8)


def test_small_risk_sets_do_not_leave():
    federation = leukemia(2)
    times = [float(t) for t in range(1, 36)]
    found = federated_kaplan_meier(
        federation, **NAMES, groupCol="group", times=times, minimumCount=3
    )
    assert found.attrs["suppressed_times"]["drug"] > 0
    assert found["at_risk"].min() >= 3
    policy = cut(
        LEUKEMIA,
        LEUKEMIA[:, 1].astype(int),
        2,
        names=["time", "event", "group"],
        categories={"group": ["drug", "placebo"]},
        policy=SiloPolicy(least_count=3, tell_errors=True),
    )
    with pytest.raises(SparkMLDistError, match="single events do not leave"):
        federated_kaplan_meier(policy, **NAMES)
    assert federated_cox(policy, **NAMES, featuresCols=["group"], strata="silo").events == 30
    given = {**NAMES, "featuresCols": ["group"]}
    with pytest.raises(SparkMLDistError, match="between two of the times"):
        federated_cox(policy, **given, times=times)
    assert federated_cox(policy, **given, times=[5.0, 40.0]).events == 30


def test_refusals():
    federation = leukemia(2)
    for given, code in (
        ({"ties": "exact"}, "invalid_param"),
        ({"strata": "silo", "times": [1.0]}, "conflicting_params"),
        ({"times": [2.0, 1.0]}, "invalid_param"),
        ({"featuresCols": ["zz"]}, "column_not_found"),
        ({"eventCol": "group"}, "column_type"),
    ):
        with pytest.raises(SparkMLDistError) as caught:
            federated_cox(federation, **{**NAMES, **given})
        assert caught.value.code == code
    with pytest.raises(SparkMLDistError, match="target_not_of_family"):
        federated_kaplan_meier(federation, timeCol="event", eventCol="time")
    rows = np.column_stack([np.arange(1.0, 21.0), np.ones(20), np.arange(20.0)])
    perfect = cut(rows, np.zeros(20, int), 2, names=["time", "event", "x"])
    with pytest.raises(SparkMLDistError, match="order perfectly") as caught:
        federated_cox(perfect, **NAMES)
    assert caught.value.code == "perfect_separation"
    rows[:, 1] = 0
    nobody = cut(rows, np.zeros(20, int), 2, names=["time", "event", "x"])
    for call in (federated_cox, federated_kaplan_meier):
        with pytest.raises(SparkMLDistError) as caught:
            call(nobody, **NAMES)
        assert caught.value.code == "no_events"
