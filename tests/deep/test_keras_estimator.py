"""Networks with several inputs and outputs, and regressors, against plain Keras."""

from __future__ import annotations

import numpy as np
import pytest

from sparkml_dist import KerasEstimator, KerasModel, KerasRegressor, load_model, partition
from sparkml_dist.cluster.gang import run_gang
from sparkml_dist.errors import ConfigurationError, DataError
from tests.deep import plain_keras

FILE = """
import keras
from keras import layers


def regression(input_shape):
    model = keras.Sequential([
        keras.Input(input_shape), layers.Dense(8, activation="tanh"), layers.Dense(1),
    ])
    model.compile(keras.optimizers.SGD(0.01), "mse", metrics=["mae"])
    return model


def towers(input_shape):
    numbers = keras.Input(input_shape["numbers"], name="numbers")
    shop = keras.Input(input_shape["shop"], name="shop", dtype="int32")
    shown = layers.Flatten()(layers.Embedding(4, 3)(shop))
    both = layers.Dense(8, activation="tanh")(layers.Concatenate()([numbers, shown]))
    outputs = {
        "price": layers.Dense(1, name="price")(both),
        "sold": layers.Dense(1, activation="sigmoid", name="sold")(both),
    }
    model = keras.Model([numbers, shop], outputs)
    model.compile(
        keras.optimizers.SGD(0.02),
        {"price": "mse", "sold": "binary_crossentropy"},
        metrics={"price": ["mae"], "sold": ["accuracy"]},
    )
    return model


def autoencoder(input_shape):
    model = keras.Sequential([
        keras.Input(input_shape), layers.Dense(2), layers.Dense(input_shape[0]),
    ])
    model.compile(keras.optimizers.Adam(0.05), "mse")
    return model
"""

INPUTS = {"numbers": ["a", "b"], "shop": ["shop"]}
TARGETS = {"sold": "sold", "price": "price"}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("network") / "net.py"
    path.write_text(FILE)
    return path


@pytest.fixture(scope="module")
def frame(spark):
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(2, 333))
    shop = rng.integers(0, 3, 333)
    price = a - 2 * b + shop
    rows = [
        (float(x), float(y), "xyz"[s], float(p), float(p > 1))
        for x, y, s, p in zip(a, b, shop, price, strict=True)
    ]
    return spark.createDataFrame(rows, ["a", "b", "shop", "price", "sold"])


@pytest.fixture(scope="module")
def data(frame, tmp_path_factory):
    return partition(
        frame,
        str(tmp_path_factory.mktemp("shards") / "s"),
        label="price",
        categorical=["shop"],
        task="regression",
        shards=2,
    )


@pytest.fixture(scope="module")
def fitted(spark, file, data):
    """Both trainings on one rank, and what plain Keras makes of the same batches."""
    settings = {
        "numRanks": 1,
        "epochs": 3,
        "batchSize": 32,
        "seed": 4,
        "labelCol": "price",
        "validationFraction": 0.2,
    }
    towers = KerasEstimator(builder=f"{file}:towers", inputs=INPUTS, targets=TARGETS, **settings)
    number = KerasRegressor(builder=f"{file}:regression", **settings)
    models = [learner.fit(data) for learner in (towers, number)]
    cases = [
        (learner._job(data, model.folder), model.files[0].name, model.files[0].sha256)
        for learner, model in zip((towers, number), models, strict=True)
    ]
    (rank,) = run_gang(
        spark, 1, plain_keras.compare, cases, preload=("sparkml_dist.deep.backend.with_horovod",)
    )
    return dict(zip(("towers", "number"), zip(models, rank.value, strict=True), strict=True))


@pytest.mark.parametrize("name", ["towers", "number"])
def test_one_rank_is_plain_keras_on_the_same_batches(fitted, name):
    model, plain = fitted[name]
    assert plain["moved"] > 0.05
    assert plain["gap"] < 1e-6
    assert model.history["loss"] == pytest.approx(plain["losses"], rel=1e-5)


def test_several_outputs_become_a_struct(fitted, frame, tmp_path):
    model, _ = fitted["towers"]
    assert isinstance(model, KerasModel)
    assert sorted(model.outputNames) == ["price", "sold"]
    assert {"loss", "price_loss", "sold_loss", "price_mae", "sold_accuracy"} <= set(model.history)
    # Each output's loss is a mean over all rows, those of the last, smaller batch among them.
    for prefix in ("", "val_"):
        parts = [model.history[f"{prefix}{name}_loss"] for name in ("price", "sold")]
        total = model.history[f"{prefix}loss"]
        assert np.sum(parts, axis=0) == pytest.approx(total, rel=1e-5)
    # The targets are not needed to predict.
    new = frame.drop("price", "sold")
    found = model.transform(new)
    assert dict(found.dtypes)["prediction"] in (
        "struct<price:double,sold:double>",
        "struct<sold:double,price:double>",
    )
    rows = found.collect()
    assert all(0 < r.prediction.sold < 1 for r in rows)
    model.save(str(tmp_path / "copy"))
    assert load_model(str(tmp_path / "copy")).transform(new).collect() == rows


def test_an_autoencoder_needs_no_label(spark, file, tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 2)) @ rng.normal(size=(2, 5))
    frame = spark.createDataFrame([tuple(map(float, x)) for x in X], [f"x{i}" for i in range(5)])
    learner = KerasEstimator(
        builder=f"{file}:autoencoder", targets=["x*"], numRanks=1, epochs=20, batchSize=32
    )
    learner.save(str(tmp_path / "learner"))
    model = KerasEstimator.load(str(tmp_path / "learner"), trusted=["net.py:autoencoder"]).fit(
        frame
    )
    rows = model.transform(frame).collect()
    assert model.transform(frame).dtypes[-1] == ("prediction", "array<float>")
    error = np.array([[r[i] - r.prediction[i] for i in range(5)] for r in rows])
    assert np.square(error).mean() < 0.1 * X.var()


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"targets": {"price": []}}, "invalid_param"),
        ({"targets": 3}, "invalid_param"),
        ({"targets": ["a", "price"]}, "mixed_targets"),
        ({"task": "ranking"}, "invalid_param"),
        ({"inputs": {"numbers": {"columns": "a", "shap": [1]}}}, "invalid_param"),
        ({"targets": ["c"]}, "column_not_found"),
    ],
)
def test_refusals_before_any_job(data, file, params, code):
    with pytest.raises((ConfigurationError, DataError)) as caught:
        KerasEstimator(builder=f"{file}:towers", labelCol="price", **params).fit(data)
    assert caught.value.code == code


def test_outputs_without_a_target_are_named(data, file):
    with pytest.raises(ConfigurationError) as caught:
        KerasEstimator(
            builder=f"{file}:towers",
            inputs=INPUTS,
            targets={"price": "price", "solds": "sold"},
            labelCol="price",
            numRanks=1,
        ).fit(data)
    assert caught.value.code == "targets_differ"
    assert "Did you mean 'sold'?" in caught.value.message


def test_a_model_of_several_outputs_is_no_sklearn_estimator(fitted):
    model, _ = fitted["towers"]
    with pytest.raises(ConfigurationError, match="no_single_target"):
        model.to_sklearn()
