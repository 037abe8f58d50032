"""Keras networks as vectors: a process of its own computes, this one stays without TensorFlow."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

import sparkml_dist as sd
from sparkml_dist.errors import ConfigurationError, TrainingError
from sparkml_dist.federated.training.network import Network, build_network
from sparkml_dist.federated.training.standardization import Standardization

STANDARD = Standardization(np.array([1.0, -2.0, 0.0]), np.array([2.0, 1.0, 3.0]), (0, 0, 0))


def small(input_shape, n_classes=None, normalization=None):
    import keras

    inputs = keras.Input(input_shape)
    x = keras.layers.Dense(6, activation="tanh")(inputs)
    x = keras.layers.BatchNormalization()(x)
    outputs = keras.layers.Dense(n_classes or 1, activation="softmax" if n_classes else None)(x)
    network = keras.Model(inputs, keras.layers.Dropout(0.0)(outputs))
    loss = "sparse_categorical_crossentropy" if n_classes else "mse"
    network.compile(optimizer="sgd", loss=loss)
    return network


def poisoned(input_shape, n_classes=None):
    import keras

    network = small(input_shape, n_classes)
    network.compile(optimizer="sgd", loss=keras.losses.KLDivergence())
    return network


@pytest.fixture(scope="module")
def built():
    return build_network(small, 3, 2, STANDARD, seed=3)


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3)).astype(np.float32)
    return X, (X[:, 0] > 0).astype(np.int32)


def test_weights_and_moving_statistics_are_vectors_apart(built):
    network = built.network
    assert network.size == len(built.parameters) == 4 * 6 + 12 + 7 * 2
    assert network.buffer_size == len(built.buffers) == 12
    assert "tensorflow" not in sys.modules


def test_a_gradient_is_that_of_finite_differences(built, rows):
    network, at = built.network, built.parameters.astype(np.float64)
    found = network.gradient(at, built.buffers, *rows)
    rng, step = np.random.default_rng(1), 1e-2
    for _ in range(3):
        way = rng.normal(size=network.size)
        way /= np.linalg.norm(way)
        above, below = (
            network.gradient(at + s * step * way, built.buffers, *rows).loss for s in (1, -1)
        )
        # Single precision: seven digits of losses, over a step of 0.01.
        assert found.vector @ way == pytest.approx((above - below) / (2 * step), abs=1e-3)
    assert not np.array_equal(found.buffers, built.buffers)


def test_a_step_that_is_repeated_is_the_same(built, rows):
    first, second = (built.network.gradient(built.parameters, built.buffers, *rows) for _ in "ab")
    np.testing.assert_array_equal(first.vector, second.vector)


def test_what_a_message_names_is_checked_before_it_is_made(built, rows):
    facts = dict(built.network.facts)
    config = json.loads(facts["config"])
    config["config"]["layers"][1]["class_name"] = "Lambda"
    for wrong in (
        {**facts, "config": json.dumps(config)},
        {**facts, "loss": {"class": "__import__"}},
        {**facts, "config": facts["config"].replace('"units": 6', '"units": 600000000')},
    ):
        with pytest.raises(TrainingError, match="message_damaged"):
            Network(wrong).gradient(built.parameters, built.buffers, *rows)


def test_losses_that_silos_cannot_share_are_refused():
    with pytest.raises(ConfigurationError, match="class_loss"):
        build_network(poisoned, 3, 2, STANDARD)


def test_silos_train_a_network():
    rng = np.random.default_rng(0)
    silos = {}
    for name in ("a", "b"):
        X = rng.normal(size=(60, 3))
        silos[name] = (X, (X[:, 0] + X[:, 1] > 0).astype(int))
    federation = sd.Federation.in_memory(silos)
    given = {"rounds": 4, "batchSize": 8, "learningRate": 0.3, "evaluateEvery": 4}
    model = sd.fit_federated(federation, model=small, **given)
    assert model.rounds["accuracy"].iloc[-1] > 0.8
    assert model.files[0].name == "parameters.keras"
    assert "tensorflow" not in sys.modules
