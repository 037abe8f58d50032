"""The form of labels for a network's loss and of its outputs; checks that they fit the data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sparkml_dist.deep.backend.with_horovod import keras
from sparkml_dist.deep.input.inputs import InputSpec
from sparkml_dist.deep.input.target import Target
from sparkml_dist.deep.network.losses import loss_name
from sparkml_dist.deep.network.output_facts import OutputFacts
from sparkml_dist.deep.train.output_check import output_facts
from sparkml_dist.errors import ConfigurationError

__all__ = ["Facts", "NetworkFacts", "network_facts"]


@dataclass(frozen=True)
class NetworkFacts:
    """Form of the labels and outputs of a classifier's or regressor's network.

    Attributes
    ----------
    target : str
        ``"codes"`` (class codes), ``"one_hot"``, ``"binary"`` (0 and 1 for one output unit) or
        ``"number"``.
    units : int
        Number of output units.
    logits : bool
        Whether the loss takes the outputs as logits.
    """

    target: str
    units: int
    logits: bool

    def encode(self, y: Any, n_classes: int) -> Any:
        """Return labels of shape (n,), class codes or numbers, in the form for the loss."""
        if self.target == "codes":
            return y
        if self.target in ("binary", "number"):
            return y.astype(np.float32)[:, None]
        return np.eye(n_classes, dtype=np.float32)[y]

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as JSON values."""
        return asdict(self)


Facts = NetworkFacts | OutputFacts


def network_facts(model: Any, target: Target, inputs: InputSpec) -> Facts:
    """Return the forms of a network's labels and outputs.

    Raises
    ------
    ConfigurationError
        ``output_shape``, ``output_units``, ``class_loss`` or ``targets_differ``.
    """
    if target.parts:
        return output_facts(model, target, inputs.zeros(1))
    if target.is_regression:
        return _regressor_facts(model)
    return _classifier_facts(model, target.n_classes)


def _classifier_facts(model: Any, n_classes: int) -> NetworkFacts:
    units = _units(model, "A classifier's network")
    if units != n_classes and not (units == 1 and n_classes == 2):
        raise ConfigurationError(
            "output_units",
            f"The network has {units} output units, but the data has {n_classes} classes.",
            f"Give the last layer {n_classes} units"
            + (", or one with a sigmoid." if n_classes == 2 else "; the builder gets n_classes."),
        )
    names = [loss_name(loss) for loss in _losses(model)]
    if units == 1:
        target = "binary"
    else:
        target = "codes" if any("sparse" in name for name in names) else "one_hot"
    return NetworkFacts(target, units, any(_from_logits(loss) for loss in _losses(model)))


def _regressor_facts(model: Any) -> NetworkFacts:
    units = _units(model, "A regressor's network")
    if units != 1:
        raise ConfigurationError(
            "output_units",
            f"The network has {units} output units, but a regressor predicts one number.",
            "Give the last layer one unit, or use KerasEstimator for several targets.",
        )
    for loss in _losses(model):
        if "crossentropy" in loss_name(loss):
            raise ConfigurationError(
                "class_loss",
                f"The loss {loss_name(loss)} is for classes, but the label is a number.",
                "Use a loss for numbers such as 'mse' or 'huber', or KerasClassifier.",
            )
    return NetworkFacts("number", units, logits=False)


def _units(model: Any, what: str) -> int:
    shape = model.output_shape
    if not (isinstance(shape, tuple) and len(shape) == 2 and isinstance(shape[1], int)):
        raise ConfigurationError(
            "output_shape",
            f"{what} must have one output of shape (rows, units). Got {shape!r}.",
            "KerasEstimator accepts networks with outputs of any shape.",
        )
    return shape[1]


def _losses(model: Any) -> list[Any]:
    return [loss for loss in keras.tree.flatten(model.loss) if loss is not None]


def _from_logits(loss: Any) -> bool:
    config = loss.get_config() if isinstance(loss, keras.losses.Loss) else {}
    return bool(config.get("from_logits", False))
