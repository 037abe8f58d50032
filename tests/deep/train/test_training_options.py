"""Regression, validation, early stopping, callbacks, event files, class weights: real trainings."""

from __future__ import annotations

import json
import math
import struct

import numpy as np
import pytest

from sparkml_dist import KerasClassifier, KerasRegressor, load_model, partition
from sparkml_dist.dataset.subsets import Validation
from sparkml_dist.errors import ConfigurationError

SEED, KEPT = 5, 0.3

# The callbacks raise the learning rate after the third epoch until the network gets worse.
FILE = """
import keras


class Explode(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.model.layers[-1].bias.assign([50.0])

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 2:
            self.model.optimizer.learning_rate = 0.9

    def on_train_batch_end(self, batch, logs=None):
        raise AssertionError("batches are not told")


def callbacks(epochs, steps):
    return [Explode(), keras.callbacks.CSVLogger("epochs.csv")]


def build(input_shape):
    model = keras.Sequential([keras.Input(input_shape), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.02), "mse", metrics=["mae"])
    return model


class Set(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.model.layers[-1].bias.assign([0.0])


def set_weights():
    return [Set()]
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("network") / "net.py"
    path.write_text(FILE.replace("epochs.csv", str(path.with_name("epochs.csv"))))
    return path


@pytest.fixture(scope="module")
def shards(spark, tmp_path_factory):
    """A linear target far from zero, with weights; cut into five shards for two ranks."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(900, 3))
    y = X @ [3.0, -2.0, 1.0] + 50 + rng.normal(size=900)
    w = rng.uniform(0.2, 2.0, 900)
    rows = [(*map(float, x), float(t), float(v)) for x, t, v in zip(X, y, w, strict=True)]
    frame = spark.createDataFrame(rows, ["a", "b", "c", "label", "w"])
    folder = str(tmp_path_factory.mktemp("shards") / "s")
    data = partition(
        frame, folder, label="label", weight="w", task="regression", shards=5, seed=SEED
    )
    return frame, data


@pytest.fixture(scope="module")
def regression(shards, file, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "m"
    learner = KerasRegressor(
        builder=f"{file}:build",
        callbacks=f"{file}:callbacks",
        numRanks=2,
        epochs=30,
        batchSize=16,
        seed=SEED,
        validationFraction=KEPT,
        patience=2,
        tensorboard=True,
        modelDir=str(folder),
    )
    return learner, learner.fit(shards[1]), folder


def test_early_stopping_keeps_the_best_weights(shards, regression):
    _, model, _folder = regression
    losses = model.history["val_loss"]
    best = model.summary["best_epoch"]
    assert 3 <= len(losses) < 30
    assert best == int(np.argmin(losses)) == len(losses) - 3
    assert model.summary["best"] == losses[best]
    assert losses[-1] > 1.1 * losses[best]

    # The loss of the best epoch is that of the saved network on exactly the rows kept from it.
    frame, data = shards
    block = data.read_block(range(5))
    kept = Validation(KEPT, SEED).mask(block.key)
    assert 0.2 < kept.mean() < 0.4
    predicted = {
        (r.a, r.b): r.prediction
        for r in model.transform(frame).select("a", "b", "prediction").collect()
    }
    found = {(np.float32(a), np.float32(b)): p for (a, b), p in predicted.items()}
    p = np.array([found[x[0], x[1]] for x in block.X[kept]])
    error, w = p - block.y[kept], block.weight[kept]
    assert losses[best] == pytest.approx((w * error**2).sum() / w.sum(), rel=1e-4)
    # Metrics are of plain counts, as Keras has them.
    assert model.history["val_mae"][best] == pytest.approx(np.abs(error).mean(), rel=1e-4)
    rows = sum(r["rows"] for r in model.summary["ranks"])
    assert rows == data.n_rows - kept.sum()


def test_callbacks_run_once_and_reach_all_ranks(regression):
    _, model, folder = regression
    # The bias of 50 that one set at the beginning is why the first loss is small.
    assert model.history["loss"][0] < 100
    log = (folder / "logs" / "rank-0.log").read_text()
    events = [json.loads(line) for line in (folder / "logs" / "events.jsonl").open()]
    told = next(e for e in events if e.get("event") == "callbacks_ignored")
    assert told["callbacks"] == ["Explode"], log


def test_event_files_hold_every_epoch(regression):
    _, model, folder = regression
    for kind, prefix in (("train", ""), ("validation", "val_")):
        (path,) = (folder / "logs" / "tensorboard" / kind).iterdir()
        content = path.read_bytes()
        names = [n for n in model.history if n.startswith("val_") == bool(prefix)]
        assert len(names) == 2
        for name in names:
            assert content.count(f"epoch_{name.removeprefix('val_')}".encode()) == len(
                model.history[name]
            )
            assert struct.pack("<f", model.history[name][-1]) in content
    assert (
        b"epoch_learning_rate" in (next((folder / "logs/tensorboard/train").iterdir())).read_bytes()
    )


def test_a_regression_is_saved_and_continued(shards, regression, tmp_path):
    learner, model, _ = regression
    again = learner.copy().setParams(resume=True).fit(shards[1])
    assert again.history == model.history
    model.save(str(tmp_path / "copy"))
    loaded = load_model(str(tmp_path / "copy"))
    pairs = [m.transform(shards[0]).select("prediction").collect() for m in (model, loaded)]
    assert pairs[0] == pairs[1]
    with pytest.raises(ConfigurationError, match="validationFraction: 0.3 before, 0.4 now"):
        learner.copy().setParams(resume=True, validationFraction=0.4).fit(shards[1])


def test_the_library_s_network_learns_a_target_of_any_size(shards):
    frame, data = shards
    model = KerasRegressor(builder="mlp", numRanks=1, epochs=15, batchSize=32).fit(data)
    rows = model.transform(frame).select("label", "prediction").collect()
    error = np.array([r.label - r.prediction for r in rows])
    assert error.std() < 1.6  # of which 1 is noise; the spread of the label is about 4


def test_callbacks_that_change_weights_are_refused(shards, file):
    from sparkml_dist.errors import TrainingError

    with pytest.raises(TrainingError, match="weights_differ"):
        KerasRegressor(
            builder=f"{file}:build", callbacks=f"{file}:set_weights", numRanks=2, epochs=2
        ).fit(shards[1])


@pytest.fixture(scope="module")
def rare(spark, tmp_path_factory):
    """One class in ten is "yes", and the feature tells little."""
    rng = np.random.default_rng(1)
    label = rng.random(800) < 0.1
    x = rng.normal(size=800) + 1.0 * label
    rows = [(float(a), "yes" if b else "no") for a, b in zip(x, label, strict=True)]
    frame = spark.createDataFrame(rows, ["x", "label"])
    folder = str(tmp_path_factory.mktemp("rare") / "s")
    return frame, partition(frame, folder, label="label", shards=1)


@pytest.mark.long
def test_class_weights(rare):
    frame, data = rare
    # Two ranks on the one row group of one shard: each streams a part of it.
    assert [s.row_groups for s in data.shards] == [(800,)]
    network = {"builder": "mlp", "numRanks": 2, "epochs": 3, "batchSize": 16}
    model = KerasClassifier(classWeight="balanced", **network).fit(data)
    rows = model.transform(frame).select("label", "predictedLabel").collect()
    recall = np.mean([r.predictedLabel == "yes" for r in rows if r.label == "yes"])
    share = np.mean([r.predictedLabel == "yes" for r in rows])
    assert recall > 0.5  # without weights it says "no" nearly always
    assert 0.2 < share < 0.7


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"validationFraction": 1.0}, "invalid_param"),
        ({"patience": 0}, "invalid_param"),
        ({"patience": 2, "tol": -1.0}, "invalid_param"),
        ({"patience": 2, "stopMode": "up"}, "invalid_param"),
        ({"patience": 2, "stopMetric": "val_loss"}, "no_validation"),
        ({"tol": 0.1}, "patience_not_set"),
        ({"callbacks": "early"}, "not_callbacks"),
        ({"callbacks": "missing.py:f"}, "builder_file_not_found"),
        ({"classWeight": "even"}, "invalid_param"),
        ({"classWeight": {"yes": -1}}, "invalid_param"),
        ({"classWeight": {"yes": math.nan}}, "invalid_param"),
        ({"classWeight": {"yes": 0, "no": 0}}, "invalid_param"),
        ({"classWeight": {"yess": 2}}, "unknown_class"),
    ],
)
def test_options_that_cannot_work_are_refused_before_any_job(rare, tmp_path, params, code):
    with pytest.raises(ConfigurationError) as caught:
        KerasClassifier(builder="mlp", modelDir=str(tmp_path / "m"), **params).fit(rare[1])
    assert caught.value.code == code
    assert not (tmp_path / "m").exists()


def test_a_stop_metric_that_is_not_there_is_refused_before_the_first_step(rare):
    with pytest.raises(ConfigurationError) as caught:
        KerasClassifier(
            builder="mlp", numRanks=1, patience=1, validationFraction=0.2, stopMetric="val_acuracy"
        ).fit(rare[1])
    assert caught.value.code == "unknown_monitor"
    assert "Did you mean 'val_accuracy'?" in caught.value.message
