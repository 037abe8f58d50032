"""Gradients of models against finite differences, and what they do with rows."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from sparkml_dist.errors import TrainingError
from sparkml_dist.federated.training.fourier import Fourier
from sparkml_dist.federated.training.linear import Linear
from sparkml_dist.federated.training.model_of import model_of
from sparkml_dist.federated.training.perceptron import Perceptron
from sparkml_dist.kernels.functions.families import kernel_of

NONE = np.zeros(0)
MODELS = {
    "least squares": Linear(3, 0, 0.1),
    "without intercept": Linear(3, 0, intercept=False),
    "binary": Linear(3, 2, 0.1),
    "multinomial": Linear(3, 4),
    "perceptron": Perceptron(3, 4, (5, 3)),
    "perceptron of numbers": Perceptron(3, 0, (5,)),
    "fourier": Fourier(3, 3, kernel_of("rbf", 1.5), 8, seed=1),
}


def rows(model):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(6, 3))
    y = rng.integers(0, model.n_outputs, 6) if model.n_outputs else rng.normal(size=6)
    return X, y, rng.normal(size=model.size)


@pytest.mark.parametrize("name", MODELS)
def test_a_gradient_is_that_of_finite_differences(name):
    model = MODELS[name]
    X, y, at = rows(model)
    found = model.gradient(at, NONE, X, y)
    step = 1e-6  # central differences are right to about its square
    for i in range(model.size):
        move = np.zeros(model.size)
        move[i] = step
        above, below = (model.gradient(at + s * move, NONE, X, y).loss for s in (1, -1))
        assert found.vector[i] == pytest.approx((above - below) / (2 * step), abs=1e-8)


@pytest.mark.parametrize("name", MODELS)
def test_gradients_of_rows_have_the_mean_of_the_batch(name):
    model = MODELS[name]
    X, y, at = rows(model)
    each = model.row_gradients(at, X, y)
    np.testing.assert_allclose(each.mean(axis=0), model.gradient(at, NONE, X, y).vector, atol=1e-12)
    alone = model.gradient(at, NONE, X[2:3], y[2:3]).vector
    np.testing.assert_allclose(each[2], alone, atol=1e-12)


@pytest.mark.parametrize("name", MODELS)
def test_a_description_gives_the_same_model(name):
    model = MODELS[name]
    X, _, at = rows(model)
    again = model_of(model.to_dict())
    np.testing.assert_array_equal(again.predict(at, NONE, X), model.predict(at, NONE, X))


def test_the_multinomial_loss_is_that_of_scikit_learn():
    rng = np.random.default_rng(3)
    X, model = rng.normal(size=(200, 3)), Linear(3, 3)
    y = (X @ rng.normal(size=(3, 3)) + rng.gumbel(size=(200, 3))).argmax(axis=1)
    fitted = LogisticRegression(C=1e9, tol=1e-10, max_iter=1000).fit(X, y)
    at = np.vstack([fitted.coef_.T, fitted.intercept_]).reshape(-1)
    assert np.abs(model.gradient(at, NONE, X, y).vector).max() < 1e-6
    np.testing.assert_allclose(model.predict(at, NONE, X), fitted.predict_proba(X), atol=1e-9)


@pytest.mark.parametrize(
    "value",
    [
        {"kind": "os.system"},
        {**Linear(3, 2).to_dict(), "width": 1 << 40},
        {**Perceptron(3, 2).to_dict(), "hidden": [1 << 20, 1 << 20]},
        {**Linear(3, 2).to_dict(), "width": "3"},
    ],
)
def test_a_message_describes_no_other_model(value):
    with pytest.raises(TrainingError, match="message_damaged"):
        model_of(value)
