"""Builds the network on a rank and refuses what cannot be trained, before anything is read."""

from __future__ import annotations

import inspect
import pickle
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparkml_dist.deep.backend import keras
from sparkml_dist.deep.builder_spec import BuilderFile
from sparkml_dist.errors import ConfigurationError, SparkMLDistError

__all__ = [
    "ModelFacts",
    "build_model",
    "call_builder",
    "classifier_facts",
    "load_builder",
    "takes",
]


@dataclass(frozen=True)
class ModelFacts:
    """What a classifier's network expects and gives.

    Attributes
    ----------
    target : str
        ``"codes"`` (class codes), ``"one_hot"``, or ``"binary"`` (0 and 1 for one output unit).
    units : int
        Output units.
    logits : bool
        Whether the loss takes the outputs as logits.
    """

    target: str
    units: int
    logits: bool

    def encode(self, y: Any, n_classes: int) -> Any:
        """Return class codes of shape (n,) as the loss wants them."""
        if self.target == "codes":
            return y
        if self.target == "binary":
            return y.astype(np.float32)[:, None]
        return np.eye(n_classes, dtype=np.float32)[y]


def load_builder(pickled: bytes) -> Callable[..., Any]:
    """Return the builder that travelled as a pickle.

    Raises
    ------
    ConfigurationError
        ``builder_not_loaded`` when it needs what this host does not have, or as
        `BuilderFile.load`.
    """
    try:
        found: Callable[..., Any] | BuilderFile = pickle.loads(pickled)  # noqa: S301
    except Exception as error:
        raise ConfigurationError(
            "builder_not_loaded",
            f"The builder cannot be loaded on {socket.gethostname()}: "
            f"{type(error).__name__}: {error}",
            "Import what it needs inside the function, and install that on every worker.",
        ) from error
    return found.load() if isinstance(found, BuilderFile) else found


def takes(builder: Callable[..., Any], name: str) -> bool:
    """Tell whether a builder has a parameter called `name`."""
    try:
        return name in inspect.signature(builder).parameters
    except (TypeError, ValueError):
        return False


def call_builder(builder: Callable[..., Any], offered: dict[str, Any]) -> Any:
    """Call a user's builder with those of the offered keyword arguments that it takes.

    Raises
    ------
    ConfigurationError
        ``builder_signature`` when it needs something else, ``builder_failed`` when it raises.
    """
    try:
        parameters = inspect.signature(builder).parameters.values()
    except (TypeError, ValueError):
        parameters = ()  # type: ignore[assignment]
    needed = [
        p.name
        for p in parameters
        if p.default is p.empty
        and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        and (p.name not in offered or p.kind is p.POSITIONAL_ONLY)
    ]
    if needed:
        raise ConfigurationError(
            "builder_signature",
            f"The builder {_name(builder)} must take no other arguments than "
            f"{', '.join(offered)}. Got: {', '.join(needed)}.",
            "Give the others defaults, or bind them with functools.partial.",
        )
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters)
    names = {p.name for p in parameters}
    try:
        return builder(**{k: v for k, v in offered.items() if open_ended or k in names})
    except SparkMLDistError:
        raise
    except Exception as error:
        raise ConfigurationError(
            "builder_failed",
            f"The builder {_name(builder)} raised {type(error).__name__}: {error}",
            "Call it on its own with the same input_shape and n_classes to see the whole trace.",
        ) from error


def build_model(builder: Callable[..., Any], offered: dict[str, Any]) -> Any:
    """Return the builder's model, compiled, built, with an optimizer that has its state.

    Raises
    ------
    ConfigurationError
        ``not_a_keras_model``, ``model_not_compiled``, ``custom_train_step``, ``loss_reduction``,
        ``lambda_layer``, ``several_inputs``, ``input_shape_differs`` or ``nothing_to_train``.
    """
    model = call_builder(builder, offered)
    shape = tuple(offered["input_shape"])
    if not isinstance(model, keras.Model):
        raise ConfigurationError(
            "not_a_keras_model",
            f"The builder {_name(builder)} must return a keras.Model. "
            f"Got {type(model).__module__}.{type(model).__name__}.",
        )
    if not model.compiled or model.loss is None:
        raise ConfigurationError(
            "model_not_compiled",
            f"The builder {_name(builder)} must return a compiled model with a loss.",
            "Call model.compile(optimizer=..., loss=..., metrics=[...]) before returning it.",
        )
    if type(model).train_step is not keras.Model.train_step:
        raise ConfigurationError(
            "custom_train_step",
            f"{type(model).__name__} has a train_step of its own, which ranks cannot share.",
            "Express it as a loss, or override compute_loss.",
        )
    _check_reductions(model.loss)
    _check_layers(model)
    _run_once(model, shape)
    if not model.trainable_variables:
        raise ConfigurationError("nothing_to_train", "The model has no trainable weights.")
    # Keras would otherwise ask the machine: XLA cannot compile Horovod's operations.
    model.jit_compile = False
    model.optimizer.build(model.trainable_variables)
    return model


def classifier_facts(model: Any, n_classes: int) -> ModelFacts:
    """Return what the network of a classifier expects and gives.

    Raises
    ------
    ConfigurationError
        ``output_shape`` or ``output_units``.
    """
    shape = model.output_shape
    if not (isinstance(shape, tuple) and len(shape) == 2 and isinstance(shape[1], int)):
        raise ConfigurationError(
            "output_shape",
            f"A classifier's network must have one output of shape (rows, units). Got {shape!r}.",
        )
    units = shape[1]
    if units != n_classes and not (units == 1 and n_classes == 2):
        raise ConfigurationError(
            "output_units",
            f"The network has {units} output units, but the data has {n_classes} classes.",
            f"Give the last layer {n_classes} units"
            + (", or one with a sigmoid." if n_classes == 2 else "; the builder gets n_classes."),
        )
    losses = keras.tree.flatten(model.loss)
    names = [_loss_name(loss) for loss in losses if loss is not None]
    if units == 1:
        target = "binary"
    else:
        target = "codes" if any("sparse" in name for name in names) else "one_hot"
    return ModelFacts(target, units, any(_from_logits(loss) for loss in losses))


def _run_once(model: Any, shape: tuple[int, ...]) -> None:
    inputs = keras.tree.flatten(model.inputs) if getattr(model, "inputs", None) else []
    if len(inputs) > 1:
        raise ConfigurationError(
            "several_inputs", f"The model must have one input. Got {len(inputs)}."
        )
    try:
        model(np.zeros((1, *shape), np.float32), training=False)
    except Exception as error:
        found = model.input_shape[1:] if inputs else None
        raise ConfigurationError(
            "input_shape_differs",
            f"The model cannot take rows of shape {shape}"
            + (f"; its input has the shape {found}." if found else f": {error}"),
            "Use the input_shape that the builder is called with, or set inputShape.",
        ) from error


def _check_reductions(loss: Any) -> None:
    for part in keras.tree.flatten(loss):
        reduction = getattr(part, "reduction", "sum_over_batch_size")
        if reduction != "sum_over_batch_size":
            raise ConfigurationError(
                "loss_reduction",
                f"The loss {_loss_name(part)} must reduce by 'sum_over_batch_size', so that ranks "
                f"can share it. Got {reduction!r}.",
                "Leave the loss's reduction at its default.",
            )


def _check_layers(model: Any) -> None:
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Lambda):
            raise ConfigurationError(
                "lambda_layer",
                f"The layer {layer.name!r} is a Lambda, which cannot be loaded safely afterwards.",
                "Use keras.ops in a functional model, or a registered Layer class.",
            )


def _loss_name(loss: Any) -> str:
    if isinstance(loss, str):
        return loss.lower()
    return str(getattr(loss, "__name__", None) or type(loss).__name__).lower()


def _from_logits(loss: Any) -> bool:
    config = loss.get_config() if isinstance(loss, keras.losses.Loss) else {}
    return bool(config.get("from_logits", False))


def _name(builder: Any) -> str:
    return str(getattr(builder, "__name__", None) or type(builder).__name__)
