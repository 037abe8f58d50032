"""Builds the network on a rank and rejects models that cannot be trained, before reading data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sparkml_dist.deep.backend.with_horovod import keras
from sparkml_dist.deep.input.inputs import InputSpec
from sparkml_dist.deep.network.builder_call import builder_name, call_builder
from sparkml_dist.deep.network.losses import loss_name
from sparkml_dist.errors import ConfigurationError, nearest

__all__ = ["build_model", "check_loss", "metric_directions"]


def build_model(builder: Callable[..., Any], offered: dict[str, Any], inputs: InputSpec) -> Any:
    """Return the builder's compiled and built model, with a built optimizer.

    Parameters
    ----------
    builder : callable
    offered : dict
        Keyword arguments that the builder may accept.
    inputs : InputSpec
        The inputs of the model.

    Raises
    ------
    ConfigurationError
        ``not_a_keras_model``, ``model_not_compiled``, ``custom_train_step``, ``loss_reduction``,
        ``lambda_layer``, ``inputs_differ``, ``input_shape_differs`` or ``nothing_to_train``.
    """
    model = call_builder(builder, offered)
    if not isinstance(model, keras.Model):
        raise ConfigurationError(
            "not_a_keras_model",
            f"The builder {builder_name(builder)} must return a keras.Model. "
            f"Got {type(model).__module__}.{type(model).__name__}.",
        )
    if not model.compiled or model.loss is None:
        raise ConfigurationError(
            "model_not_compiled",
            f"The builder {builder_name(builder)} must return a compiled model with a loss.",
            "Call model.compile(optimizer=..., loss=..., metrics=[...]) before returning it.",
        )
    if type(model).train_step is not keras.Model.train_step:
        raise ConfigurationError(
            "custom_train_step",
            f"{type(model).__name__} has a custom train_step, which ranks cannot share.",
            "Express it as a loss, or override compute_loss.",
        )
    _check_reductions(model.loss)
    _check_layers(model)
    _run_once(model, inputs)
    if not model.trainable_variables:
        raise ConfigurationError("nothing_to_train", "The model has no trainable weights.")
    # Disables automatic XLA, which cannot compile Horovod's operations.
    model.jit_compile = False
    model.optimizer.build(model.trainable_variables)
    return model


def check_loss(model: Any, x: Any, y: Any) -> list[str]:
    """Compute the loss and the metrics of a few rows once.

    Parameters
    ----------
    model : keras.Model
        Built and compiled.
    x, y : ndarray, or dict or list of ndarray
        Inputs of the network and of its loss; their values do not matter.

    Returns
    -------
    list of str
        Names of the metrics in an epoch's logs.

    Raises
    ------
    ConfigurationError
        ``loss_failed`` when loss or metrics cannot be computed from the network's outputs.
    """
    x, y = keras.tree.map_structure(keras.ops.convert_to_tensor, (x, y))
    weight = keras.ops.ones(len(keras.tree.flatten(x)[0]))
    try:
        y_pred = model(x, training=False)
        model.compute_loss(x, y, y_pred, weight)
        model.compute_metrics(x, y, y_pred, weight)
    except Exception as error:
        raise ConfigurationError(
            "loss_failed",
            f"The loss or a metric cannot be computed: {type(error).__name__}: {error}",
            "The shapes of the network's outputs must fit the loss: labels are class codes for a "
            "sparse loss, else one-hot rows; numbers are rows of length one.",
        ) from error
    names = [str(name) for name in model.get_metrics_result()]
    model.reset_metrics()
    return names


def metric_directions(model: Any) -> dict[str, str]:
    """Return ``"max"`` or ``"min"`` for the metrics that have a direction."""
    known = {"up": "max", "down": "min"}
    metrics = [m for part in model.metrics for m in getattr(part, "metrics", [part])]
    return {m.name: known[m._direction] for m in metrics if getattr(m, "_direction", None) in known}


def _run_once(model: Any, inputs: InputSpec) -> None:
    tensors = keras.tree.flatten(model.inputs) if getattr(model, "inputs", None) else []
    names = [t.name for t in tensors]
    given = [part.name for part in inputs.parts]
    if tensors and (
        len(names) != len(given) or (not inputs.is_single and sorted(names) != sorted(given))
    ):
        unknown = [g for g in given if g and g not in names]
        raise ConfigurationError(
            "inputs_differ",
            f"The model's inputs are {', '.join(map(repr, names))}, but "
            + (
                "there is one input."
                if inputs.is_single
                else f"inputs are for {', '.join(map(repr, given))}."
            )
            + (nearest(unknown[0], names) if unknown else ""),
            "List each of the model's inputs in inputs, with its columns.",
        )
    try:
        model(
            keras.tree.map_structure(keras.ops.convert_to_tensor, inputs.zeros(1)), training=False
        )
    except Exception as error:
        found = [tuple(t.shape[1:]) for t in tensors]
        raise ConfigurationError(
            "input_shape_differs",
            f"The model cannot take rows of shape {inputs.shape}"
            + (f"; its input has the shape {found[0]}." if len(found) == 1 else f": {error}"),
            "Use the input_shape that is passed to the builder, or set "
            + ("inputShape." if inputs.is_single else "the shape of each input in inputs."),
        ) from error


def _check_reductions(loss: Any) -> None:
    for part in keras.tree.flatten(loss):
        reduction = getattr(part, "reduction", "sum_over_batch_size")
        if reduction != "sum_over_batch_size":
            raise ConfigurationError(
                "loss_reduction",
                f"The loss {loss_name(part)} must reduce by 'sum_over_batch_size', so that ranks "
                f"can share it. Got {reduction!r}.",
                "Leave the loss's reduction at its default.",
            )


def _check_layers(model: Any) -> None:
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Lambda):
            raise ConfigurationError(
                "lambda_layer",
                f"The layer {layer.name!r} is a Lambda, which cannot be loaded safely.",
                "Use keras.ops in a functional model, or a registered Layer class.",
            )
