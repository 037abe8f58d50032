"""What `test_network_onnx` runs in a process of its own; imports no TensorFlow by itself."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from sparkml_dist.dataset.labels import Label
from sparkml_dist.dataset.schema import FeatureColumn, FeatureSchema
from sparkml_dist.deep.input.inputs import InputPart, InputSpec
from sparkml_dist.persistence.filesystem import Folder

CLASSES = Label("y", "string", ("a", "b", "c"))
TWO = Label("y", "integer", (3, 5))
NUMBER = Label("y", "target")


def _mlp(keras):
    from sparkml_dist.deep.network.builders import mlp

    return mlp((6,), 3, (np.arange(6, dtype=np.float32), np.full(6, 2, np.float32)))


def _cnn(keras):
    from sparkml_dist.deep.network.builders import cnn

    return cnn((8, 8, 1), 3, (np.zeros(64, np.float32), np.ones(64, np.float32)))


def _one_unit(keras):
    return keras.Sequential([keras.Input((6,)), keras.layers.Dense(1)])


def _sigmoids(keras):
    return keras.Sequential([keras.Input((6,)), keras.layers.Dense(3, activation="sigmoid")])


def _sharded(keras):
    from sparkml_dist.deep.embedding.layer import ShardedEmbedding

    ids = keras.Input((6,))
    x = ShardedEmbedding(40, 4, embeddings_initializer="random_normal")(ids)
    x = keras.layers.LSTM(5)(x)
    return keras.Model(ids, keras.layers.Dense(3)(x))


def _two_inputs(keras):
    numbers, code = keras.Input((4,), name="numbers"), keras.Input((1,), name="code", dtype="int32")
    x = keras.layers.Flatten()(keras.layers.Embedding(7, 3)(code))
    x = keras.layers.Concatenate()([keras.layers.Dense(5, activation="relu")(numbers), x])
    return keras.Model({"code": code, "numbers": numbers}, keras.layers.Dense(1)(x))


# Builder, label, inputs, units, logits.
NETWORKS = {
    "mlp": (_mlp, CLASSES, InputSpec.single(6), 3, False),
    "cnn": (_cnn, CLASSES, InputSpec.single(64, (8, 8, 1)), 3, False),
    "one_unit": (_one_unit, TWO, InputSpec.single(6), 1, True),
    "sigmoids": (_sigmoids, CLASSES, InputSpec.single(6), 3, False),
    "sharded": (_sharded, CLASSES, InputSpec.single(6), 3, True),
    "two_inputs": (
        _two_inputs,
        NUMBER,
        InputSpec(
            (
                InputPart("numbers", (0, 2, 3, 5), (4,)),
                InputPart("code", (1,), (1,), "int32", (6,)),
            )
        ),
        1,
        False,
    ),
}


def run(context):
    import keras

    folder = Folder.at(os.environ["FOLDER"])
    return {name: compare(keras, folder, name) for name in NETWORKS}


def compare(keras, folder, name):
    """Return how the network, its ONNX form and its plain Keras form agree."""
    from sparkml_dist.deep.classifier import KerasClassificationModel
    from sparkml_dist.deep.regressor import KerasRegressionModel
    from sparkml_dist.deep.scoring.scorer import KerasScorer
    from sparkml_dist.onnx.export import onnx_bytes
    from sparkml_dist.onnx.runtime import runtime
    from sparkml_dist.persistence.model_folder import ModelFile

    build, label, inputs, units, logits = NETWORKS[name]
    file = f"{name}.keras"
    build(keras).save(Path(folder.location, file))
    width = 1 + max(max(p.columns) for p in inputs.parts)
    schema = FeatureSchema.build(
        [FeatureColumn(f"f{i}", "numeric") for i in range(width)], sparse=False
    )
    facts = {"units": units, "logits": logits}
    content = {"inputs": inputs.to_dict(), "facts": facts}
    kind = KerasClassificationModel if label.classes else KerasRegressionModel
    model = kind(folder, schema, label, [ModelFile.of(folder, file)], content, {})
    scorer = model._scorer()
    assert isinstance(scorer, KerasScorer)
    X = scorer.probe_rows(width, 300)
    if name == "two_inputs":
        X[::7, 1] = np.nan  # a category that was not seen
    wanted = scorer.load()(X)
    exported = runtime(onnx_bytes(scorer, label, schema, "Model"), label, 1)(X)
    target = f"{folder.location}/{name}.onnx"
    model.export_onnx(target)
    plain = model.to_keras()
    outputs = np.asarray(plain(inputs.take(X)))
    if len(label.classes):
        outputs = scorer.probabilities(outputs)
    return {
        "gap": float(np.abs(exported - wanted).max()),
        "spread": float(wanted.std(axis=0).max()),
        "keras_gap": float(np.abs(outputs.reshape(wanted.shape) - wanted).max()),
        "ours": sorted({type(x).__name__ for x in plain._flatten_layers() if _is_ours(x)}),
        "bytes": os.path.getsize(target),
    }


def _is_ours(layer):
    return type(layer).__module__.startswith("sparkml_dist")
