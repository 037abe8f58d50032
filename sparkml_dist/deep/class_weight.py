"""Class weights: factors on the weights of each class's rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from sparkml_dist.dataset.labels import Label
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.errors import ConfigurationError, nearest

__all__ = ["check_class_weight", "class_weights"]


def check_class_weight(spec: Any) -> None:
    """Raise unless `spec` is a valid class weight; needs no data.

    Raises
    ------
    ConfigurationError
        ``invalid_param``.
    """
    if spec == "balanced":
        return
    if not isinstance(spec, Mapping) or not spec:
        raise ConfigurationError(
            "invalid_param",
            f"classWeight must be 'balanced' or a mapping from classes to weights. Got {spec!r}.",
        )
    for key, weight in spec.items():
        good = isinstance(weight, int | float) and not isinstance(weight, bool)
        if not (good and math.isfinite(weight) and weight >= 0):
            raise ConfigurationError(
                "invalid_param",
                f"The weight of class {key!r} must be a number >= 0. Got {weight!r}.",
            )
    if not any(spec.values()):
        raise ConfigurationError("invalid_param", "All classes have the weight 0.")


def class_weights(spec: Any, data: PartitionedDataset) -> tuple[float, ...]:
    """Return the factor of each class, in the order of the class list.

    Parameters
    ----------
    spec : "balanced" or mapping
        ``"balanced"`` gives every class the same total weight, as in scikit-learn:
        ``rows / (classes * rows of the class)``. A mapping's keys are classes, or their texts;
        missing classes have the factor 1.
    data : PartitionedDataset

    Raises
    ------
    ConfigurationError
        ``unknown_class``.
    """
    label = data.manifest.label
    if spec == "balanced":
        rows = [sum(s.class_rows[c] for s in data.shards) for c in range(len(label.classes))]
        total = sum(rows)
        return tuple(total / (len(rows) * n) if n else 1.0 for n in rows)
    factors = [1.0] * len(label.classes)
    for key, weight in spec.items():
        factors[_position(label, key)] = float(weight)
    return tuple(factors)


def _position(label: Label, key: Any) -> int:
    for i, value in enumerate(label.classes):
        if key == value or str(key) == str(value):
            return i
    number = _number(key) if label.kind in ("integer", "number") else None
    if number in label.classes:
        return label.classes.index(number)
    names = [str(c) for c in label.classes]
    raise ConfigurationError(
        "unknown_class",
        f"classWeight has the class {key!r}, which does not occur in the data."
        f"{nearest(str(key), names)}",
        f"Classes are: {', '.join(names[:12])}{', …' if len(names) > 12 else ''}.",
    )


def _number(key: Any) -> float | None:
    try:
        return float(key)
    except (TypeError, ValueError):
        return None
