"""Describes a network as JSON, to check that a checkpoint fits it."""

from __future__ import annotations

import json
import math
from typing import Any

from sparkml_dist.deep.embedding.marks import shard_of

__all__ = ["first_difference", "model_signature"]

Signature = dict[str, Any]


def model_signature(model: Any) -> Signature:
    """Return the layers of a built Keras model, their settings and weights, and its optimizer.

    Parameters
    ----------
    model : keras.Model
        Built, with a built optimizer.

    Returns
    -------
    dict
        ``layers``, ``weights`` and ``optimizer``: JSON values for `first_difference`.
    """
    layers = model._flatten_layers(include_self=False, recursive=True)
    return {
        "layers": [_layer(layer) for layer in layers],
        "weights": [_variable(v) for v in model.weights],
        "optimizer": {
            "class": type(model.optimizer).__name__,
            "variables": [_variable(v) for v in model.optimizer.variables],
        },
    }


def first_difference(stored: Signature, found: Signature) -> str | None:
    """Describe the first difference between two networks.

    Parameters
    ----------
    stored, found : dict
        Values of `model_signature`: the checkpoint's, and the current network's.

    Returns
    -------
    str or None
        The end of a sentence, such as ``"layer 2, 'dense_1' (Dense): …"``; None when the
        checkpoint fits the network.
    """
    for number, (old, new) in enumerate(zip(stored["layers"], found["layers"], strict=False), 1):
        if what := _layers_differ(old, new):
            return f"layer {number}, {new['name']!r} ({new['class']}): {what}"
    counts = len(stored["layers"]), len(found["layers"])
    if counts[0] != counts[1]:
        longer, who = (stored, "the checkpoint") if counts[0] > counts[1] else (found, "the model")
        extra = longer["layers"][min(counts)]
        return (
            f"layer {min(counts) + 1}, {extra['name']!r} ({extra['class']}), which only {who} has"
        )
    if what := _variables_differ(stored["weights"], found["weights"]):
        return f"the weights: {what}"
    old, new = stored["optimizer"], found["optimizer"]
    if old["class"] != new["class"]:
        return f"the optimizer: {old['class']} in the checkpoint, {new['class']} in the model"
    if what := _variables_differ(old["variables"], new["variables"]):
        return f"the optimizer {new['class']}: {what}"
    return None


def _layer(layer: Any) -> Signature:
    described = {"name": layer.name, "class": type(layer).__name__, "config": {}, "weights": []}
    if layer._layers:  # a container: its layers follow one by one
        return described
    described["weights"] = [_variable(v) for v in layer.weights]
    try:
        config = json.loads(json.dumps(layer.get_config(), default=lambda o: type(o).__name__))
    except Exception:  # noqa: BLE001 - a custom layer without a working get_config
        config = {}
    config.pop("name", None)  # contains a counter of the process
    described["config"] = config
    return described


def _variable(variable: Any) -> list[Any]:
    shape = [int(n) for n in variable.shape]
    if (shard := shard_of(variable)) is not None:  # independent of the number of ranks
        shape[0] = shard.rows
    return [variable.path.rpartition("/")[2], shape, str(variable.dtype)]


def _layers_differ(old: Signature, new: Signature) -> str | None:
    if old["class"] != new["class"]:
        return f"{old['class']} in the checkpoint"
    if what := _variables_differ(old["weights"], new["weights"]):
        return what
    for key in sorted({*old["config"], *new["config"]}):
        a, b = old["config"].get(key), new["config"].get(key)
        if not _same(a, b):
            return f"{key} is {_short(a)} in the checkpoint and {_short(b)} in the model"
    return None


def _variables_differ(old: list[list[Any]], new: list[list[Any]]) -> str | None:
    if len(old) != len(new):
        return f"{len(old)} variables in the checkpoint and {len(new)} in the model"
    for (name, *a), (_, *b) in zip(old, new, strict=True):
        if a != b:
            shown = [f"{dtype}{tuple(shape)}" for shape, dtype in (a, b)]
            return f"{name} is {shown[0]} in the checkpoint and {shown[1]} in the model"
    return None


def _same(a: Any, b: Any) -> bool:
    """Compare JSON values; numbers may differ by rounding."""
    if isinstance(a, float) or isinstance(b, float):
        numbers = isinstance(a, int | float) and isinstance(b, int | float)
        return numbers and math.isclose(a, b, rel_tol=1e-3, abs_tol=1e-6)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[k], b[k]) for k in a)
    return bool(a == b)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
