"""The Params that all Keras estimators share."""

from __future__ import annotations

from typing import Any, ClassVar

from pyspark.ml.param import TypeConverters

from sparkml_dist.params import AccessibleParams, param

__all__ = ["HasNetwork"]


class HasNetwork(AccessibleParams):
    """What is trained, by how many ranks, and for how long."""

    builder: Any = param("builder", "'mlp', 'cnn', 'FILE.py:FUNCTION' or a function")
    numRanks: Any = param(
        "numRanks", "processes that train side by side (>= 1)", TypeConverters.toInt
    )
    epochs: Any = param("epochs", "passes over the data, at most (>= 1)", TypeConverters.toInt)
    batchSize: Any = param(
        "batchSize",
        "rows of one step on each rank (>= 1); fits the number of rows when not set",
        TypeConverters.toInt,
    )
    inputShape: Any = param(
        "inputShape", "shape that a row's features are given", TypeConverters.toListInt
    )

    _defaults: ClassVar[dict[str, Any]] = {"numRanks": 2, "epochs": 10}
