"""Gaussian processes without Spark: scikit-learn's, the bound's invariances, honest intervals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Matern, WhiteKernel

from sparkml_dist.dataset.subsets import Validation
from sparkml_dist.kernels.functions.families import kernel_of
from sparkml_dist.kernels.nystroem_map import NystroemMap
from sparkml_dist.kernels.process.bound import Spectrum, fitted_posterior
from sparkml_dist.kernels.process.calibration import Calibration, residuals_of_block
from sparkml_dist.kernels.process.committee_scorer import committee, exact_process
from sparkml_dist.kernels.process.sample_evidence import log_evidence, most_likely
from sparkml_dist.kernels.ridge.normal_equations import RidgeMoments, moments_of_block
from sparkml_dist.kernels.ridge.targets import Targets
from sparkml_dist.kernels.scaling import Scaling
from sparkml_dist.kernels.settings import Centered
from tests.kernels.rows import MemoryRows

RNG = np.random.default_rng(5)
X = RNG.uniform(-2, 2, size=(150, 2))
Y = np.sin(2 * X[:, 0]) + 0.2 * X[:, 1] + RNG.normal(scale=0.2, size=150)
CENTRED = Y - Y.mean()
KERNEL = kernel_of("rbf")
FAMILIES = [("rbf", {}), *[("matern", {"nu": nu}) for nu in (0.5, 1.5, 2.5)]]


def theirs(name, nu, scales):
    return RBF(scales) if name == "rbf" else Matern(scales, nu=nu)


@pytest.mark.parametrize(("name", "more"), FAMILIES)
def test_the_evidence_and_its_gradient_are_those_of_scikit_learn(name, more):
    scales = np.array([0.8, 1.7])
    kernel = ConstantKernel(1.3) * theirs(name, more.get("nu"), scales) + WhiteKernel(0.05)
    model = GaussianProcessRegressor(kernel, alpha=0, optimizer=None).fit(X, CENTRED)
    value, gradient = log_evidence(
        X, CENTRED, kernel_of(name, **more), np.log([*scales, 1.3, 0.05])
    )
    wanted, slopes = model.log_marginal_likelihood(kernel.theta, eval_gradient=True)
    assert value == pytest.approx(wanted, rel=1e-9)
    assert gradient == pytest.approx(slopes[[1, 2, 0, 3]], rel=1e-5, abs=1e-6)


def test_hyperparameters_are_those_of_scikit_learn():
    y = CENTRED / Y.std()
    kernel = ConstantKernel(1.0) * RBF([1.0, 1.0], (1e-3, 1e3)) + WhiteKernel(0.1)
    model = GaussianProcessRegressor(kernel).fit(X, y)
    found = most_likely(X, y, KERNEL, 1.0)
    assert found.log_evidence >= model.log_marginal_likelihood_value_ - 1e-3
    assert found.length_scales[0] < found.length_scales[1]
    fixed = most_likely(X, y, KERNEL, 1.0, fixed=True)
    assert fixed.length_scales == pytest.approx([1.0, 1.0])
    assert fixed.log_evidence < found.log_evidence


def sums(centers, weight=None, blocks=2):
    features = NystroemMap.of(Centered(KERNEL, Scaling.none(2), centers))
    added = MemoryRows(X, Y, weight, blocks).add(moments_of_block, (features, Targets(0)))
    return features, RidgeMoments.of(added)


def test_with_every_row_as_a_centre_the_bound_is_the_evidence():
    _, found = sums(X)
    exact = multivariate_normal(
        np.zeros(150), 1.3 * KERNEL.matrix(X, X) + 0.05 * np.eye(150)
    ).logpdf(CENTRED)
    # Directions whose eigenvalues are rounding errors are left out.
    assert Spectrum.of(found).bound(1.3, 0.05) == pytest.approx(exact, abs=1e-5)


def test_fewer_centres_give_a_lower_bound():
    bounds = [Spectrum.of(sums(X[:m])[1]).bound(1.3, 0.05) for m in (5, 20, 60, 150)]
    assert bounds == sorted(bounds)


def test_with_every_row_as_a_centre_predictions_are_those_of_scikit_learn():
    features, found = sums(X)
    posterior = fitted_posterior(found, signal=1.3, noise=0.05)
    kernel = ConstantKernel(1.3) * RBF(1.0)
    model = GaussianProcessRegressor(kernel, alpha=0.05, optimizer=None).fit(X, CENTRED)
    rows = RNG.uniform(-3, 3, size=(40, 2))
    mean, std = model.predict(rows, return_std=True)
    mapped = features.features(rows)
    assert posterior.mean + mapped @ posterior.coefficients == pytest.approx(
        mean + Y.mean(), abs=1e-5
    )
    known = ((mapped @ posterior.spread) ** 2).sum(axis=1)
    assert 1.3 * (1 - known) == pytest.approx(std**2, abs=1e-5)


def test_variances_maximize_the_bound():
    _, found = sums(X[:40])
    best = fitted_posterior(found)
    spectrum = Spectrum.of(found)
    for signal, noise in ((1.05, 1.0), (0.95, 1.0), (1.0, 1.05), (1.0, 0.95)):
        assert spectrum.bound(best.signal * signal, best.noise * noise) < best.bound
    assert best.noise == pytest.approx(0.04, rel=0.3)
    assert fitted_posterior(found, noise=0.04).noise == 0.04


def test_a_function_without_noise_is_no_noise_without_a_function():
    rows = np.linspace(-1, 1, 50)[:, None]
    features = NystroemMap.of(Centered(kernel_of("rbf", 3.0), Scaling.none(1), rows[::5]))
    source = MemoryRows(rows, rows[:, 0] ** 2)
    found = RidgeMoments.of(source.add(moments_of_block, (features, Targets(0))))
    posterior = fitted_posterior(found)
    assert posterior.noise < 1e-4 * posterior.signal
    mapped = features.features(rows)
    assert posterior.mean + mapped @ posterior.coefficients == pytest.approx(
        rows[:, 0] ** 2, abs=0.01
    )


def test_standard_deviations_are_calibrated_on_held_out_rows():
    """A posterior that is told half of the noise's deviation is found out."""
    rng = np.random.default_rng(8)
    rows = rng.uniform(-2, 2, size=(6000, 2))
    y = np.sin(2 * rows[:, 0]) + rng.normal(scale=0.2, size=6000)
    targets = Targets(0, Validation(0.5, 1))
    features = NystroemMap.of(Centered(KERNEL, Scaling.none(2), rows[:60]))
    source = MemoryRows(rows, y)
    found = RidgeMoments.of(source.add(moments_of_block, (features, targets)))
    for noise, factor in ((0.01, 2.0), (0.04, 1.0)):
        posterior = fitted_posterior(found, noise=noise)
        counts = source.add(residuals_of_block, (features, targets, posterior))["counts"]
        calibration = Calibration.of(counts)
        # A quantile of 3,000 rows.
        assert calibration.factor == pytest.approx(factor, rel=0.06)
        assert calibration.rows == Validation(0.5, 1).mask(np.arange(6000)).sum()
    assert calibration.cover == pytest.approx(0.95, abs=0.015)
    assert Calibration.of(np.ones(50, int)).factor == 1.0


def test_weights_are_repetitions():
    weight = RNG.integers(0, 3, 150)
    again = np.repeat(np.arange(150), weight)
    _, one = sums(X[:20], weight.astype(float))
    features = NystroemMap.of(Centered(KERNEL, Scaling.none(2), X[:20]))
    added = MemoryRows(X[again], Y[again]).add(moments_of_block, (features, Targets(0)))
    two = RidgeMoments.of(added)
    assert fitted_posterior(one).bound == pytest.approx(fitted_posterior(two).bound)


def test_a_committee_of_one_expert_is_the_exact_process():
    rows = RNG.uniform(-3, 3, size=(30, 2))
    shared = exact_process(X[:30], CENTRED[:30], KERNEL, 1.3, 0.05)(rows)
    whole = exact_process(X, CENTRED, KERNEL, 1.3, 0.05)(rows)
    mean, variance = committee(shared, [whole])
    assert mean == pytest.approx(whole[0]) and variance == pytest.approx(whole[1])
    model = GaussianProcessRegressor(ConstantKernel(1.3) * RBF(1.0), alpha=0.05, optimizer=None)
    wanted, std = model.fit(X, CENTRED).predict(rows, return_std=True)
    assert mean == pytest.approx(wanted, abs=1e-8) and variance == pytest.approx(std**2, abs=1e-8)


def test_a_committee_is_not_over_confident_where_a_product_of_experts_is():
    """Far from all rows every expert knows nothing: the variance is the signal's."""
    far = np.full((1, 2), 50.0)
    shared = exact_process(X[:30], CENTRED[:30], KERNEL, 1.3, 0.05)(far)
    experts = []
    for start in range(30, 150, 30):
        own = np.r_[0:30, start : start + 30]
        experts.append(exact_process(X[own], CENTRED[own], KERNEL, 1.3, 0.05)(far))
    mean, variance = committee(shared, experts)
    assert variance == pytest.approx([1.3]) and mean == pytest.approx([0.0], abs=1e-9)
    product = 1 / sum(1 / own[1] for own in experts)
    assert product == pytest.approx([1.3 / 4])


def test_nu_of_rough_processes_has_a_gradient_where_rows_are_equal():
    twice = np.vstack([X[:20], X[:20]])
    y = np.concatenate([CENTRED[:20], CENTRED[:20] + 0.1])
    _, gradient = log_evidence(twice, y, kernel_of("matern", nu=0.5), np.log([1.0, 1.0, 1.0, 0.1]))
    assert np.isfinite(gradient).all()
