"""Linear models over silos against those of the pooled rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sparkml_dist.errors import SparkMLDistError
from sparkml_dist.federated import Federation, SiloPolicy
from sparkml_dist.federated.statistics import coefficients_and_errors, federated_glm
from tests.federated.statistics.silos import COLUMNS, HEART, cut, heart, heart_silos, sample
from tests.long import cases
from tests.statistics.oracles import COUNTS, LONGLEY, OUTCOME, TREATMENT, errors, fit

pytestmark = pytest.mark.filterwarnings("error")
THREE = ["1", "2", "3"]
THREE_COLUMNS = {"names": ["a", "b", "c"], "categories": {"c": ["p", "q", "r"]}}
X, y = sample()
X = X - [1e6, 0.0, 0.0]


def test_heart_in_eight_rounds():
    federation = heart()
    model = federated_glm(federation, handleInvalid="skip")
    true = dict.fromkeys(HEART, 0.0) | {
        "(intercept)": -0.33159260,
        "age": 0.03092771,
        "sex": 1.41425088,
        "trestbps": -0.00179331,
        "thalach": -0.02129028,
        "exang": 1.39389648,
        "oldpeak": 0.61562157,
    }
    assert model.coefficients == pytest.approx(true, abs=5.1e-9)
    assert model.standardErrors["age"] == pytest.approx(0.01047333, abs=5e-9)
    assert model.logLikelihood == pytest.approx(-405.39200521, abs=5e-9)
    facts = model.summary
    assert facts["rounds"] <= 8 and facts["rows"] == 854
    # 28 numbers of the information, 7 of the score, and a few more: nothing grows with the rows.
    assert facts["bytes_per_silo_round"] < 600
    silos = heart_silos()
    A, b = (np.concatenate([s[i] for s in silos.values()]) for i in (0, 1))
    whole = fit(A, b, "binomial", names=HEART, handling="skip", classes=(0, 1))
    found = np.array(list(model.coefficients.values()))
    assert found == pytest.approx(whole["coefficients"], rel=1e-10)
    assert list(model.standardErrors.values()) == pytest.approx(errors(whole), rel=1e-10)
    job = coefficients_and_errors(model)
    assert job["coefficients"]["(intercept)"] == found[0] and job["rounds"] == facts["rounds"]
    assert "thalach" in str(model.summary())


@pytest.mark.parametrize("silos", cases([1, 3, 4], [4]))
def test_counts_by_poisson(silos):
    A = np.column_stack([OUTCOME, TREATMENT]).astype(float)
    federation = cut(
        *(A, COUNTS, silos),
        regression=True,
        names=["o", "t"],
        categories={"o": THREE, "t": THREE},
    )
    model = federated_glm(federation, family="poisson")
    true = [3.04452244, -0.454255272, -0.292987125]
    assert list(model.coefficients.values())[:3] == pytest.approx(true, rel=1e-8)
    true = [0.17089865, 0.20217076, 0.19274234, 0.2, 0.2]
    assert list(model.standardErrors.values()) == pytest.approx(true, rel=5e-8)
    assert model.aic == pytest.approx(56.761320, rel=5e-8)


@pytest.mark.parametrize("factorization", ["gram", "qr"])
def test_longley(factorization):
    federation = cut(LONGLEY[:, 1:], LONGLEY[:, 0], 3, regression=True)
    model = federated_glm(federation, factorization=factorization)
    assert model.intercept == pytest.approx(-3482258.63459582, rel=1e-9)
    assert model.standardErrors["(intercept)"] == pytest.approx(890420.38, rel=1e-8)
    assert type(model).__name__ == "LinearRegressionModel" and model.r2 == pytest.approx(
        0.99548, abs=1e-5
    )


@pytest.mark.parametrize(
    ("family", "given"),
    [
        ("gaussian", {"covType": "HC3"}),
        ("gaussian", {"covType": "HC1", "handleInvalid": "skip"}),
        ("gamma", {"link": "log", "covType": "HC0"}),
        ("negative_binomial", {}),
        ("tweedie", {"variancePower": 1.5}),
        ("gaussian", {"alpha": 0.1, "l1Ratio": 0.5}),
        ("gaussian", {"offsetCol": "a"}),
    ],
)
def test_families_and_errors(family, given):
    rng = np.random.default_rng(5)
    A = np.nan_to_num(X)
    target = rng.negative_binomial(2, 0.3, len(A)) + (family != "negative_binomial") * 0.5
    weight = rng.integers(1, 4, len(A)).astype(float)
    model = federated_glm(
        cut(A, target, 3, regression=True, weight=weight, **COLUMNS),
        family=family,
        **({"handleInvalid": "error"} | given),
    )
    alpha, ratio = given.get("alpha", 0.0), given.get("l1Ratio", 0.0)
    from sparkml_dist.statistics.glm_problem import Penalty

    options = {"variance_power": given["variancePower"]} if "variancePower" in given else {}
    whole = fit(
        A,
        target,
        *((family,) if "link" not in given else (family, given["link"])),
        names=COLUMNS["names"],
        categories=COLUMNS["categories"],
        weight=weight,
        handling="skip",
        covariance=given.get("covType", "nonrobust"),
        penalty=Penalty(alpha, ratio),
        estimate_overdispersion=family == "negative_binomial",
        **({"offset": "a"} if "offsetCol" in given else {}),
        **options,
    )
    assert list(model.coefficients.values()) == pytest.approx(whole["coefficients"], rel=1e-7)
    if not alpha:
        assert list(model.standardErrors.values()) == pytest.approx(errors(whole), rel=1e-7)


@pytest.mark.parametrize("silos", cases([1, 3], [3]))
def test_three_classes_and_missing_values(silos):
    some = X[:, 2] != 3  # of which there are too few for an estimate
    federation = cut(X[some], y[some], silos, **THREE_COLUMNS)
    model = federated_glm(federation, featuresCols=["b", "c"], handleInvalid="skip")
    whole = fit(
        X[some, 1:],
        y[some],
        "binomial",
        names=["b", "c"],
        categories=THREE_COLUMNS["categories"],
        classes=(0, 1, 2),
        handling="skip",
    )
    found = np.array(list(model.coefficients.values()))
    assert found == pytest.approx(whole["coefficients"].ravel(), rel=1e-8)
    assert list(model.standardErrors.values()) == pytest.approx(errors(whole), rel=1e-8)
    assert model.terms[0] == "1: (intercept)"


def test_missing_numbers_become_the_mean_of_all_silos():
    federation = cut(X[:, :2], y == 1, 3, names=["a", "b"])
    model = federated_glm(federation, handleInvalid="mean")
    filled = np.where(np.isnan(X[:, :2]), np.nanmean(X[:, :2], axis=0), X[:, :2])
    other = federated_glm(cut(filled, y == 1, 3, names=["a", "b"]))
    assert model.coefficients == pytest.approx(other.coefficients, rel=1e-10)


def test_silos_as_clusters():
    A = np.nan_to_num(X[:, :2])
    target = A @ [1.0, 2.0] + np.random.default_rng(1).normal(size=len(A))
    place = np.arange(len(A)) % 6
    silos = {f"s{i}": (A[place == i], target[place == i]) for i in range(6)}
    model = federated_glm(Federation.in_memory(silos, regression=True), covType="cluster")
    D = np.column_stack([np.ones(len(A)), A])
    beta = np.linalg.solve(D.T @ D, D.T @ target)
    scores = np.array([D[place == i].T @ (target - D @ beta)[place == i] for i in range(6)])
    bread = np.linalg.inv(D.T @ D)
    n = len(A)
    true = bread @ scores.T @ scores @ bread * (6 / 5 * (n - 1) / (n - 3))
    assert model.covariance == pytest.approx(true, rel=1e-8)


def test_saved_and_loaded(tmp_path):
    federation = cut(X[:, 1:2], y == 1, 2)
    model = federated_glm(federation, modelDir=str(tmp_path / "m"))
    from sparkml_dist import load_model

    again = load_model(str(tmp_path / "m"))
    assert again.coefficients == model.coefficients
    assert again.summary["silos"] == ["silo-0", "silo-1"]


# -- faults -----------------------------------------------------------------------------------


def _late(after, spoil):
    """Return an alteration of answers to passes, from the one after some on."""
    seen = []

    def altered(answer, request):
        if request.kind == "glm_pass":
            seen.append(request.round)
        return spoil(answer) if len(seen) > after else answer

    return altered


def _nan(answer):
    return replace(answer, arrays={**answer.arrays, "score": answer.arrays["score"] * np.nan})


def _dead(answer):
    raise RuntimeError("gone")


@pytest.mark.parametrize("spoil", [_nan, _dead])
def test_a_silo_that_fails_in_the_middle_is_left_out_when_allowed(spoil):
    A, b = np.nan_to_num(X[:, :2]), y == 1
    federation = cut(A, b, 3, alter={"silo-1": _late(3, spoil)})
    with pytest.raises(SparkMLDistError, match="silo-1") as caught:
        federated_glm(federation)
    assert caught.value.code == "too_few_silos"
    federation = cut(A, b, 3, alter={"silo-1": _late(3, spoil)})
    model = federated_glm(federation, minimumSilos=2)
    assert model.summary["silos"] == ["silo-0", "silo-2"]
    assert "silo-1" in model.summary["failed"]
    kept = np.minimum(np.random.default_rng(3).geometric(0.4, len(b)) - 1, 2) != 1
    whole = fit(A[kept], b[kept].astype(int), "binomial", classes=(False, True))
    assert list(model.coefficients.values()) == pytest.approx(whole["coefficients"], rel=1e-10)


def test_refusals():
    federation = cut(X, y == 1, 3, **COLUMNS)
    for given, code in (
        ({"featuresCols": ["zz"]}, "column_not_found"),
        ({"covType": "HC9"}, "invalid_param"),
        ({"family": "poisson"}, "task_differs"),
        ({"factorization": "qr", "secure": object()}, "conflicting_params"),
    ):
        with pytest.raises(SparkMLDistError) as caught:
            federated_glm(federation, **given)
        assert caught.value.code == code
    with pytest.raises(SparkMLDistError, match="missing_values"):
        federated_glm(federation)
    perfect = cut(X[:, 1:2], X[:, 1] > 4, 3)
    with pytest.raises(SparkMLDistError) as caught:
        federated_glm(perfect)
    assert caught.value.code == "perfect_separation"
    double = cut(X[:, [1, 1]], y == 1, 3)
    with pytest.raises(SparkMLDistError) as caught:
        federated_glm(double)
    assert caught.value.code == "collinear_features"


@pytest.mark.parametrize("kind", ["HC0", "HC1", "HC2", "HC3", "cluster"])
def test_robust_errors_of_several_classes_are_refused_before_the_first_round(kind):
    federation = cut(X[:, 1:2], y, 3)
    federation.schema  # noqa: B018 - the silos agree on it in two rounds of its own
    before = len(federation.audit())
    with pytest.raises(SparkMLDistError, match="two classes") as caught:
        federated_glm(federation, covType=kind)
    assert caught.value.code == "conflicting_params" and len(federation.audit()) == before


def test_a_small_silo_keeps_its_sums():
    federation = cut(X[:, 1:2], y == 1, 3, policy=SiloPolicy(least_count=120))
    with pytest.raises(SparkMLDistError, match="too_few_rows"):
        federated_glm(federation)
    model = federated_glm(federation, minimumSilos=1)
    assert len(model.summary["silos"]) < 3


def test_a_silo_with_another_column_is_named():
    silos = {"a": (np.eye(3), [0, 1, 0]), "b": (np.ones((3, 2)), [0, 1, 1])}
    with pytest.raises(SparkMLDistError, match="silo") as caught:
        federated_glm(Federation.in_memory(silos))
    assert caught.value.code == "silos_differ"
