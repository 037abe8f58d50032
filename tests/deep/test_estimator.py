"""`KerasClassifier` from a DataFrame to a saved model, on real and on awkward data."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest
from pyspark.ml.linalg import Vectors
from sklearn.datasets import load_digits

from sparkml_dist import KerasClassifier, load_model, partition, split
from sparkml_dist.deep.training import rows_per_step
from sparkml_dist.errors import ConfigurationError, ResourceError, StorageError

# A network of the user's own: in a file, with a helper, one unit, logits, its own metric.
FILE = """
import keras

UNITS = 8

def hidden(x):
    return keras.layers.Dense(UNITS, activation="relu")(x)

def build(input_shape):
    inputs = keras.Input(input_shape)
    outputs = keras.layers.Dense(1)(hidden(inputs))
    model = keras.Model(inputs, outputs)
    model.compile(
        keras.optimizers.Adam(0.02),
        keras.losses.BinaryCrossentropy(from_logits=True),
        metrics=[keras.metrics.BinaryAccuracy(threshold=0.0)],
    )
    return model

def five_units(input_shape):
    model = keras.Sequential([keras.Input(input_shape), keras.layers.Dense(5)])
    model.compile(loss="sparse_categorical_crossentropy")
    return model
"""


@pytest.fixture(scope="module")
def digits(spark):
    frame = load_digits(as_frame=True).frame.rename(columns={"target": "label"})
    return [part.persist() for part in split(spark.createDataFrame(frame), 0.25, seed=1)]


def _accuracy(model, frame, label="label", prediction="prediction"):
    rows = model.transform(frame).select(label, prediction).collect()
    return np.mean([r[0] == r[1] for r in rows])


@pytest.mark.modes("connect")
def test_from_a_data_frame_to_a_saved_model(spark, digits, tmp_path, caplog):
    train, test = digits
    learner = KerasClassifier(
        builder="cnn",
        numRanks=2,
        epochs=5,
        batchSize=32,
        inputShape=[8, 8, 1],
        numShards=3,
        modelDir=str(tmp_path / "model"),
    )
    with caplog.at_level(logging.INFO, "sparkml_dist"):
        model = learner.fit(train)
    rows = train.count()

    assert sum(r["rows"] for r in model.summary["ranks"]) == rows
    assert model.summary["steps"] == -(-rows // 64)
    assert [len(v) for v in model.history.values()] == [5, 5]
    assert model.history["loss"][-1] < model.history["loss"][0] / 3
    assert all(r["peak_rss_mb"] > 100 for r in model.summary["ranks"])
    assert "epoch 5: loss" in caplog.text
    events = [json.loads(x) for x in (tmp_path / "model/logs/events.jsonl").open()]
    assert [e.get("epoch") for e in events if e.get("event") == "epoch"] == [0, 1, 2, 3, 4]
    assert len({e["weights_sha256"] for e in events if e.get("event") == "epoch"}) == 5

    model.save(str(tmp_path / "copy"))
    again = load_model(str(tmp_path / "copy"))
    assert again.history == model.history
    names = ["label", "prediction", "probability"]
    pairs = [m.transform(test).select(names).collect() for m in (model, again)]
    assert pairs[0] == pairs[1]
    assert np.mean([r[0] == r[1] for r in pairs[0]]) > 0.95
    p = np.array([r[2].toArray() for r in pairs[0]])
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)

    # The same plan again: nothing is trained, the network is there.
    stamp = (tmp_path / "model/model.keras").stat().st_mtime_ns
    resumed = learner.copy().setParams(resume=True).fit(train)
    assert resumed.history == model.history
    assert (tmp_path / "model/model.keras").stat().st_mtime_ns == stamp

    network = tmp_path / "copy" / "model.keras"
    network.write_bytes(network.read_bytes()[:-1] + b"?")
    with pytest.raises(StorageError, match="file_altered"):
        load_model(str(tmp_path / "copy"))


@pytest.fixture(scope="module")
def awkward(spark, tmp_path_factory):
    """Sparse rows, string labels and weights; the weight decides where the label is doubtful."""
    rng = np.random.default_rng(0)
    n = 600
    X = rng.integers(-1, 2, (n, 6)).astype(float)
    truth = X[:, 0] + X[:, 1] > 0
    doubtful = rng.random(n) < 0.4
    columns = (
        [Vectors.sparse(40, np.flatnonzero(x), x[x != 0]) for x in X],
        np.where(truth ^ doubtful, "yes", "no").tolist(),
        np.where(doubtful, 0.01, 1.0).tolist(),
        np.where(truth, "yes", "no").tolist(),
    )
    frame = spark.createDataFrame(
        list(zip(*columns, strict=True)), ["features", "kind", "w", "truth"]
    )
    folder = str(tmp_path_factory.mktemp("shards") / "s")
    data = partition(frame, folder, label="kind", features=["features"], weight="w", shards=2)
    assert data.layout == "sparse"
    return frame, data


@pytest.fixture(scope="module")
def builder_file(tmp_path_factory):
    file = tmp_path_factory.mktemp("builder") / "net.py"
    file.write_text(FILE)
    return file


def test_a_network_in_a_file_on_string_labels_and_weights(spark, awkward, builder_file, tmp_path):
    frame, data = awkward
    file = tmp_path / "net.py"
    file.write_bytes(Path(builder_file).read_bytes())
    learner = KerasClassifier(builder=f"{file}:build", numRanks=1, epochs=12, batchSize=16, seed=3)
    learner.save(str(tmp_path / "learner"))
    with pytest.raises(StorageError, match=r"untrusted_type.*net\.py:build"):
        KerasClassifier.load(str(tmp_path / "learner"))
    file.write_text("raise SystemExit('this is not what was saved')")
    learner = KerasClassifier.load(str(tmp_path / "learner"), trusted=["net.py:build"])
    learner.save(str(tmp_path / "again"))
    learner = KerasClassifier.load(str(tmp_path / "again"), trusted=["net.py:build"])
    model = learner.fit(data)
    assert sorted(model.history) == ["binary_accuracy", "loss"]
    # Weights are followed: the doubtful labels, 40% of all, are wrong in two cases of five.
    assert _accuracy(model, frame, "truth", "predictedLabel") > 0.97
    assert model.classes == ["no", "yes"]


def test_an_error_of_the_builder_comes_back_to_the_driver(spark, awkward, builder_file):
    with pytest.raises(ConfigurationError) as caught:
        KerasClassifier(builder=f"{builder_file}:five_units", numRanks=2).fit(awkward[1])
    assert caught.value.code == "output_units"
    assert "5 output units, but the data has 2 classes" in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("params", "error", "code"),
    [
        ({}, ConfigurationError, "no_builder"),
        ({"builder": "cnm"}, ConfigurationError, "unknown_builder"),
        ({"builder": "mlp", "epochs": 0}, ConfigurationError, "invalid_param"),
        ({"builder": "mlp", "batchSize": 0}, ConfigurationError, "invalid_param"),
        ({"builder": "mlp", "numRanks": 0}, ConfigurationError, "invalid_param"),
        ({"builder": "mlp", "numRanks": 99}, ResourceError, "too_few_slots"),
        ({"builder": "mlp", "inputShape": [7, 1]}, ConfigurationError, "input_shape_differs"),
    ],
)
def test_refusals_before_any_training(spark, awkward, tmp_path, params, error, code):
    with pytest.raises(error) as caught:
        KerasClassifier(modelDir=str(tmp_path / "m"), **params).fit(awkward[1])
    assert caught.value.code == code
    assert not (tmp_path / "m").exists()


def test_a_function_is_not_saved_as_a_pickle(tmp_path):
    with pytest.raises(ConfigurationError, match="param_not_saved"):
        KerasClassifier(builder=lambda: None).save(str(tmp_path / "learner"))
    assert not (tmp_path / "learner").exists()


def test_the_size_of_a_step():
    assert rows_per_step(100, 2) == 16
    assert rows_per_step(12_000, 2) == 64
    assert rows_per_step(12_000, 1) == 128
    assert rows_per_step(10**9, 2) == 256
