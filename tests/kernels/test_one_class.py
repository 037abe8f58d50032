"""The one-class machine without Spark, against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import check_grad
from scipy.stats import spearmanr
from sklearn.svm import OneClassSVM

from sparkml_dist.dataset.block import Block
from sparkml_dist.kernels.functions.families import kernel_of
from sparkml_dist.kernels.nystroem_map import NystroemMap
from sparkml_dist.kernels.one_class_solver import loss_of_block, one_class
from sparkml_dist.kernels.scaling import Scaling
from sparkml_dist.kernels.settings import Centered
from tests.kernels.rows import MemoryRows

RNG = np.random.default_rng(4)
X = np.vstack([RNG.normal(size=(250, 2)), RNG.normal(4, 0.5, size=(50, 2))])
OTHERS = RNG.uniform(-4, 7, size=(200, 2))
MAP = NystroemMap.of(Centered(kernel_of("rbf", 1.0), Scaling.none(2), X))


def fitted(share, blocks=3):
    source = MemoryRows(X, np.zeros(300), None, blocks)
    return one_class(
        lambda *parameters: source.add(loss_of_block, (MAP, *parameters)),
        MAP.features(X).mean(axis=0),
        share,
        tol=1e-4,
        max_iter=500,
    )


@pytest.mark.parametrize("share", [0.05, 0.2])
def test_it_is_nearly_that_of_scikit_learn(share):
    found = fitted(share)
    assert found.converged
    theirs = OneClassSVM(gamma=0.5, nu=share, tol=1e-6).fit(X)
    ours = MAP.features(OTHERS) @ found.weights - found.offset
    # Only the corner of the loss differs.
    wanted = theirs.decision_function(OTHERS) / (share * 300)
    assert spearmanr(ours, wanted).statistic > 0.995
    assert ours == pytest.approx(wanted, abs=0.05 * np.ptp(wanted))
    # Rows in the rounded corner count in part.
    assert share - 0.04 < found.outside <= share


def test_blocks_change_nothing():
    assert fitted(0.1, 1).weights == pytest.approx(fitted(0.1, 7).weights, abs=1e-3)


def test_weights_are_repetitions():
    weight = np.random.default_rng(1).integers(0, 3, 300)
    again = np.repeat(np.arange(300), weight)
    at = (MAP, MAP.features(X).mean(axis=0), 0.3, 0.1)
    one = MemoryRows(X, np.zeros(300), weight.astype(np.float32)).add(loss_of_block, at)
    two = MemoryRows(X[again], np.zeros(len(again)), None, 7).add(loss_of_block, at)
    for name, value in two.items():
        assert one[name] == pytest.approx(value, abs=1e-8), name


def test_the_gradient_is_that_of_the_loss():
    block = Block(X, np.zeros(300), None, np.arange(300))
    small = NystroemMap.of(Centered(kernel_of("rbf", 1.0), Scaling.none(2), X[:6]))

    def loss(flat):
        return loss_of_block(block, small, flat[:-1], flat[-1], 0.1)["loss"]

    def gradient(flat):
        found = loss_of_block(block, small, flat[:-1], flat[-1], 0.1)
        return np.append(found["gradient"], found["offset_gradient"])

    assert check_grad(loss, gradient, np.append(RNG.normal(size=6) / 4, 0.2)) < 1e-3
