"""What the process with Keras does: build a network, compute gradients and outputs, save it."""

from __future__ import annotations

import json
import os
import tempfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from sparkml_dist.deep.backend.without_horovod import keras, tf
from sparkml_dist.deep.input.inputs import InputSpec
from sparkml_dist.deep.network.keras_archive import check_network_config
from sparkml_dist.deep.network.losses import loss_name
from sparkml_dist.deep.network.size import check_network_size
from sparkml_dist.deep.scoring.forward import batch_rows
from sparkml_dist.errors import ConfigurationError, TrainingError
from sparkml_dist.federated.message import Message

__all__ = ["operate"]

Result = tuple[dict[str, Any], dict[str, Any]]

#: Losses that a message may name, by their functions' names.
_LOSSES = {
    "sparse_categorical_crossentropy": "SparseCategoricalCrossentropy",
    "categorical_crossentropy": "CategoricalCrossentropy",
    "binary_crossentropy": "BinaryCrossentropy",
    "mean_squared_error": "MeanSquaredError",
    "mean_absolute_error": "MeanAbsoluteError",
    "huber": "Huber",
    "log_cosh": "LogCosh",
    "poisson": "Poisson",
}
_LOSS_SETTINGS = ("from_logits", "label_smoothing", "delta")
_MOST_NETWORKS = 4
_networks: dict[str, _Computing] = {}


def operate(asked: Message) -> Result:
    """Return the result of an operation."""
    if asked.kind == "build":
        return _build(asked)
    network = _network(asked.facts)
    network.set(asked.arrays["parameters"], asked.arrays["buffers"])
    if asked.kind == "gradient":
        return network.gradient(asked.arrays["X"], asked.arrays["y"])
    if asked.kind == "predict":
        return network.predict(asked.arrays["X"])
    return network.archive()


def _build(asked: Message) -> Result:
    # These import Horovod, which silos need not have.
    from sparkml_dist.deep.input.target import Target
    from sparkml_dist.deep.network.builder_call import load_builder
    from sparkml_dist.deep.train.model_check import build_model
    from sparkml_dist.deep.train.network_facts import network_facts

    facts = asked.facts
    keras.utils.set_random_seed(facts["seed"])
    inputs = InputSpec.from_dict(facts["inputs"])
    offered: dict[str, Any] = {
        "input_shape": inputs.shape,
        "total_steps": facts["total_steps"],
        "normalization": inputs.moments(asked.arrays["mean"], asked.arrays["deviation"]),
    }
    if facts["n_outputs"]:
        offered["n_classes"] = facts["n_outputs"]
    model = build_model(load_builder(asked.arrays["builder"].tobytes()), offered, inputs)
    found = network_facts(model, Target(facts["n_outputs"]), inputs)
    trained, buffers = model.trainable_weights, model.non_trainable_weights
    told = {
        **found.to_dict(),
        "config": model.to_json(),
        "loss": _loss_facts(model.loss),
        "size": int(sum(np.prod(w.shape, dtype=int) for w in trained)),
        "buffer_size": int(sum(np.prod(w.shape, dtype=int) for w in buffers)),
    }
    return told, {"parameters": _joined(trained), "buffers": _joined(buffers)}


def _loss_facts(loss: Any) -> dict[str, Any]:
    found = keras.losses.get(loss) if isinstance(loss, str) else loss
    name = loss_name(found)
    config = found.get_config() if isinstance(found, keras.losses.Loss) else {}
    kinds = {kind.lower(): kind for kind in _LOSSES.values()} | _LOSSES
    if name not in kinds:
        raise ConfigurationError(
            "class_loss",
            f"Silos cannot share the loss {name!r}.",
            f"Take one of Keras' own: {', '.join(_LOSSES)}.",
        )
    settings = {k: v for k, v in config.items() if k in _LOSS_SETTINGS and v is not None}
    return {"class": kinds[name], **settings}


def _loss_of(facts: Mapping[str, Any]) -> Any:
    name = facts["class"]
    settings = {k: v for k, v in facts.items() if k != "class"}
    if name not in _LOSSES.values() or not set(settings) <= set(_LOSS_SETTINGS):
        raise TrainingError("message_damaged", f"There is no loss {str(name)[:60]!r} for silos.")
    return getattr(keras.losses, name)(**{k: _plain(v) for k, v in settings.items()})


def _plain(value: Any) -> float | bool:
    return value if isinstance(value, bool) else float(value)


def _network(facts: Mapping[str, Any]) -> _Computing:
    key = json.dumps(dict(facts), sort_keys=True)
    if key not in _networks:
        while len(_networks) >= _MOST_NETWORKS:
            _networks.pop(next(iter(_networks)))
        _networks[key] = _Computing(facts)
    return _networks[key]


class _Computing:
    """A network that was made of a checked configuration."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        config = json.loads(facts["config"])
        stored = 4 * (facts["size"] + facts["buffer_size"])
        try:
            check_network_config(config, _is_registered)
            check_network_size(keras, config, stored)
            # Keras reads a compiled model's optimizer and loss from here; silos need neither.
            config.pop("compile_config", None)
            self.model = keras.models.model_from_json(json.dumps(config))
            self._loss = _loss_of(facts["loss"])
        except (ValueError, KeyError, TypeError) as error:
            raise TrainingError(
                "message_damaged",
                f"The network of a message cannot be made safely: {str(error)[:200]}.",
                "A network may have Keras' own layers, and those that this process has registered.",
            ) from error
        self.inputs = InputSpec.from_dict(facts["inputs"])
        self.facts = facts
        self._random = [v for v in self.model.variables if "seed_generator_state" in v.path]
        part = self.inputs.parts[0]
        rows = tf.TensorSpec((None, *part.shape), part.dtype)
        numbers = "int32" if facts["target"] == "codes" else "float32"
        width = {"codes": (None,), "one_hot": (None, facts["n_outputs"])}
        target = tf.TensorSpec(width.get(facts["target"], (None, 1)), numbers)
        self._step = tf.function(self._traced, input_signature=[rows, target], jit_compile=False)
        self._run = tf.function(
            lambda x: self.model(x, training=False), input_signature=[rows], jit_compile=False
        )

    def set(self, parameters: Any, buffers: Any) -> None:
        """Set all weights; random layers draw by the parameters, so that a step can be repeated."""
        _assign(self.model.trainable_weights, parameters)
        _assign(self.model.non_trainable_weights, buffers)
        start = zlib.crc32(parameters.tobytes())
        for i, state in enumerate(self._random):
            state.assign(np.array([start, i], np.uint32))

    def _traced(self, x: Any, y: Any) -> tuple[Any, list[Any]]:
        variables = self.model.trainable_variables
        with tf.GradientTape() as tape:
            loss = self._loss(y, self.model(x, training=True))
            for added in self.model.losses:
                loss = loss + tf.cast(added, loss.dtype)
        found = tape.gradient(loss, [v.value for v in variables])
        filled = [
            tf.zeros(v.shape) if g is None else tf.convert_to_tensor(g)
            for v, g in zip(variables, found, strict=True)
        ]
        return loss, [tf.cast(tf.reshape(g, [-1]), tf.float32) for g in filled]

    def gradient(self, X: Any, y: Any) -> Result:
        """Return loss, gradient and buffers of a batch."""
        loss, parts = self._step(self._rows(X), self._target(y))
        return {}, {
            "loss": np.array([float(loss)]),
            "gradient": tf.concat(parts, 0).numpy(),
            "buffers": _joined(self.model.non_trainable_weights),
        }

    def predict(self, X: Any) -> Result:
        """Return the outputs of rows, shape (n, units)."""
        size, units = batch_rows(self.inputs), int(self.facts["units"])
        parts = [
            np.asarray(self._run(self._rows(X[i : i + size]))).reshape(-1, units)
            for i in range(0, len(X), size)
        ]
        return {}, {"outputs": np.concatenate(parts) if parts else np.zeros((0, units), "f4")}

    def archive(self) -> Result:
        """Return the network as a ``.keras`` file."""
        with tempfile.TemporaryDirectory() as local:
            path = os.path.join(local, "network.keras")
            self.model.save(path)
            with open(path, "rb") as stream:
                return {}, {"file": np.frombuffer(stream.read(), np.uint8)}

    def _rows(self, X: Any) -> Any:
        return tf.convert_to_tensor(self.inputs.take(np.ascontiguousarray(X, np.float32)))

    def _target(self, y: Any) -> Any:
        if self.facts["target"] == "codes":
            return tf.constant(np.asarray(y, np.int32))
        if self.facts["target"] == "one_hot":
            return tf.constant(np.eye(self.facts["n_outputs"], dtype=np.float32)[y])
        return tf.constant(np.asarray(y, np.float32)[:, None])


def _joined(weights: Any) -> Any:
    parts = [np.asarray(w, np.float32).reshape(-1) for w in weights]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def _assign(weights: Any, vector: Any) -> None:
    start = 0
    for weight in weights:
        size = int(np.prod(weight.shape, dtype=int))
        weight.assign(vector[start : start + size].reshape(weight.shape))
        start += size
    if start != len(vector):
        raise TrainingError(
            "message_damaged", f"{len(vector):,} weights came for a network of {start:,}."
        )


def _is_registered(name: str) -> bool:
    return keras.saving.get_registered_object(name) is not None
