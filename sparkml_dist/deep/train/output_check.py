"""Finds the outputs of a `KerasEstimator`'s network, and the targets of their losses."""

from __future__ import annotations

from typing import Any

from sparkml_dist.deep.backend.with_horovod import keras
from sparkml_dist.deep.input.target import Target, TargetPart
from sparkml_dist.deep.network.losses import loss_name
from sparkml_dist.deep.network.output_facts import Kind, Output, OutputFacts
from sparkml_dist.errors import ConfigurationError, nearest

__all__ = ["output_facts"]


def output_facts(model: Any, target: Target, x: Any) -> OutputFacts:
    """Return the outputs of a network and the target of each.

    Parameters
    ----------
    model : keras.Model
        A compiled model.
    target : Target
        A target with parts.
    x : ndarray, or dict of ndarray
        A few rows in the network's form.

    Raises
    ------
    ConfigurationError
        ``targets_differ`` unless each output has one target; ``output_shape`` for rows without a
        fixed size.
    """
    returned = model(keras.tree.map_structure(keras.ops.convert_to_tensor, x), training=False)
    kind: Kind = "single"
    names = list(getattr(model, "output_names", None) or [])
    if isinstance(returned, dict):
        kind, names = "dict", list(returned)
    elif isinstance(returned, list | tuple):
        kind = "list"
        if len(names) != len(returned):
            names = [f"output_{i}" for i in range(len(returned))]
    else:
        names = names[:1] or ["output"]
    tensors = (
        [returned]
        if kind == "single"
        else list(returned.values() if isinstance(returned, dict) else returned)
    )
    parts = _by_output(target, names, single=kind == "single")
    outputs = []
    for index, (name, tensor) in enumerate(zip(names, tensors, strict=True)):
        shape = tuple(tensor.shape[1:])
        if not all(isinstance(size, int) for size in shape):
            raise ConfigurationError(
                "output_shape",
                f"The output {name!r} must have rows of a fixed size. Got the shape {shape}.",
            )
        loss = loss_name(_loss_of(model, name, index) or "")
        outputs.append(Output(name, shape, _taken(parts[name], target, shape, loss)))
    return OutputFacts(kind, tuple(outputs))


def _by_output(target: Target, names: list[str], *, single: bool) -> dict[str, TargetPart]:
    given = {part.output: part for part in target.parts}
    if single and list(given) == [""]:
        return {names[0]: given[""]}
    if sorted(given) != sorted(names):
        unknown = [g for g in given if g not in names]
        raise ConfigurationError(
            "targets_differ",
            f"The network's outputs are {', '.join(map(repr, names))}, but targets are for "
            f"{', '.join(map(repr, given))}." + (nearest(unknown[0], names) if unknown else ""),
            "Set targets to a mapping with every output's name; outputs are named by their layers, "
            "or by the keys of a returned dict.",
        )
    return given


def _taken(part: TargetPart, target: Target, shape: tuple[int, ...], loss: str) -> str:
    if part.columns:
        return "columns"
    if target.is_regression or shape == (1,):
        return "number"
    return "codes" if "sparse" in loss or shape != (target.n_classes,) else "one_hot"


def _loss_of(model: Any, name: str, index: int) -> Any:
    loss = model.loss
    if isinstance(loss, dict):
        return loss.get(name)
    if isinstance(loss, list | tuple):
        return loss[index] if index < len(loss) else None
    return keras.tree.flatten(loss)[0]
