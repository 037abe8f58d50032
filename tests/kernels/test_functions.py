"""Kernels are scikit-learn's, and random features approximate them as the theory says."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.gaussian_process.kernels import Matern
from sklearn.metrics.pairwise import laplacian_kernel, rbf_kernel

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.kernels.functions.families import KERNELS, kernel_from_dict, kernel_of

RNG = np.random.default_rng(0)
X, Z = RNG.normal(size=(40, 3)), RNG.normal(size=(7, 3))
ALL = [(name, {}) for name in KERNELS] + [("matern", {"nu": 0.5}), ("arccos", {"degree": 0})]


def test_they_are_those_of_scikit_learn():
    assert kernel_of("rbf", 1.5).matrix(X, Z) == pytest.approx(rbf_kernel(X, Z, 1 / 4.5), abs=1e-14)
    found = kernel_of("laplacian", 2.0).matrix(X, Z)
    assert found == pytest.approx(laplacian_kernel(X, Z, 0.5), abs=1e-14)
    found = kernel_of("matern", 2.0, nu=2.5).matrix(X, Z)
    assert found == pytest.approx(Matern(2.0, nu=2.5)(X, Z), abs=1e-14)


def test_the_gaussian_keeps_its_digits_far_from_the_origin():
    # The rows themselves are rounded to 1e6 * 2e-16.
    found = kernel_of("rbf", 1.0).matrix(X + 1e6, Z + 1e6)
    assert found == pytest.approx(kernel_of("rbf", 1.0).matrix(X, Z), abs=1e-8)


def test_arc_cosine_kernels_by_their_formula():
    x, z = np.array([[3.0, 0.0]]), np.array([[2.0, 2.0], [0.0, 0.0]])
    assert kernel_of("arccos", degree=0).matrix(x, z)[0] == pytest.approx([0.75, 0.5])
    angle = np.pi / 4
    wanted = 3 * 8**0.5 * (np.sin(angle) + 0.75 * np.pi * np.cos(angle)) / np.pi
    assert kernel_of("arccos").matrix(x, z)[0] == pytest.approx([wanted, 0.0])


@pytest.mark.parametrize(("name", "more"), ALL)
def test_random_features_approximate_the_kernel(name, more):
    kernel = kernel_of(name, 1.7, **more)
    frequencies = kernel.frequencies(3, 40_000, np.random.default_rng(1))
    x, z = (kernel.random_features(rows, frequencies) for rows in (X[:9], Z))
    # The standard error of a mean of 40,000 numbers below 1 (below 7 squared for arccos) is 0.005.
    tolerance = 0.15 if name == "arccos" and not more else 0.02
    assert x @ z.T == pytest.approx(kernel.matrix(X[:9], Z), abs=tolerance)
    gram = kernel.matrix(X, X)
    assert kernel.diagonal(X) == pytest.approx(gram.diagonal())
    assert np.linalg.eigvalsh(gram).min() > -1e-10


def test_the_variance_of_pairs_is_that_of_the_theory():
    """1 + k(2δ) - 2 k(δ)², .3996 at δ = 1, and not the .6998 of random phases."""
    kernel, rng = kernel_of("rbf"), np.random.default_rng(2)
    near, far = np.zeros((1, 1)), np.ones((1, 1))
    products = []
    for _ in range(4000):
        frequencies = kernel.frequencies(1, 8, rng)
        x, z = (kernel.random_features(rows, frequencies) for rows in (near, far))
        products.append((x @ z.T)[0, 0])
    # 16 features; the variance of a variance of 4,000 numbers is 2 / 4,000 of its square.
    assert 16 * np.var(products) == pytest.approx(0.3996, rel=4 * (2 / 4000) ** 0.5)


@pytest.mark.parametrize(("name", "more"), ALL)
def test_kernels_are_stored_and_read(name, more):
    kernel = kernel_of(name, 0.3, **more)
    assert kernel_from_dict(kernel.to_dict()) == kernel


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "rbf", "length_scale": 0.0},
        {"name": "rbf", "length_scale": "1"},
        {"name": "rbg", "length_scale": 1.0},
        {"name": "arccos", "length_scale": 1.0, "degree": 2},
    ],
)
def test_what_is_no_kernel_is_not_read(wrong):
    with pytest.raises((TypeError, ValueError)):
        kernel_from_dict(wrong)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": "rbf", "length_scale": -1.0}, "lengthScale must be"),
        ({"name": "rbf", "length_scale": float("nan")}, "lengthScale must be"),
        ({"name": "matren"}, "Did you mean 'matern'"),
        ({"name": "matern", "nu": 0.0}, "nu must be"),
        ({"name": "arccos", "degree": 2}, "degree must be 0 or 1"),
    ],
)
def test_wrong_parameters_are_refused(given, message):
    with pytest.raises(ConfigurationError, match=message):
        kernel_of(**given)
