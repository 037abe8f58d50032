"""Params that all Keras estimators share."""

from __future__ import annotations

from typing import Any

from pyspark.ml.param import TypeConverters

from sparkml_dist.deep.params.early_stopping_settings import EarlyStoppingSettings
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.params import AccessibleParams, param

__all__ = ["HasNetwork"]


class HasNetwork(AccessibleParams):
    """Params of the network, its ranks, and the length of its training."""

    builder: Any = param("builder", "'mlp', 'cnn', 'FILE.py:FUNCTION' or a function")
    numRanks: Any = param(
        "numRanks", "processes that train at the same time (>= 1)", TypeConverters.toInt
    )
    epochs: Any = param("epochs", "most passes over the data (>= 1)", TypeConverters.toInt)
    batchSize: Any = param(
        "batchSize",
        "rows of one step on each rank (>= 1); depends on the number of rows when not set",
        TypeConverters.toInt,
    )
    inputShape: Any = param("inputShape", "shape of a row's features", TypeConverters.toListInt)

    inputs: Any = param(
        "inputs",
        "for each of the network's inputs its columns, or a dict of columns, shape and dtype; all "
        "features as one input when not set",
    )
    validationFraction: Any = param(
        "validationFraction",
        "share of the rows, chosen by their keys, that is held out from training and evaluated "
        "after each epoch (>= 0, < 1)",
        TypeConverters.toFloat,
    )
    stopMetric: Any = param(
        "stopMetric",
        "metric for patience and restoreBest; when not set, val_loss if rows are held out for "
        "validation, else loss",
        TypeConverters.toString,
    )
    stopMode: Any = param(
        "stopMode",
        "whether smaller ('min') or larger ('max') values of stopMetric are better; 'auto' infers "
        "it from the metric",
        TypeConverters.toString,
    )
    patience: Any = param(
        "patience",
        "epochs without improvement after which the training ends (>= 1); no early stopping when "
        "not set",
        TypeConverters.toInt,
    )
    tol: Any = param(
        "tol", "least change of stopMetric that is an improvement (>= 0)", TypeConverters.toFloat
    )
    restoreBest: Any = param(
        "restoreBest",
        "whether the network ends with the weights of its best epoch; by default if patience is "
        "set",
        TypeConverters.toBoolean,
    )
    callbacks: Any = param(
        "callbacks", "'FILE.py:FUNCTION' or a function that returns Keras callbacks, for rank 0"
    )
    tensorboard: Any = param(
        "tensorboard",
        "whether to write event files into logs/tensorboard in the model's folder",
        TypeConverters.toBoolean,
    )

    def _stopping(self) -> EarlyStoppingSettings | None:
        """Return the settings of early stopping; None without it.

        Raises
        ------
        ConfigurationError
            For values out of range, and for settings without an effect.
        """
        validates = self.getOrDefault(self.validationFraction) > 0
        default = "val_loss" if validates else "loss"
        patience, restore = self._value(self.patience), self._value(self.restoreBest)
        metric = self._value(self.stopMetric) or default
        settings = EarlyStoppingSettings(
            metric,
            patience,
            self.getOrDefault(self.tol),
            restore is not False,
            self.getOrDefault(self.stopMode),
        )
        if metric.startswith("val_") and not validates:
            raise ConfigurationError(
                "no_validation",
                f"stopMetric={metric!r} is a metric of held-out rows, but no rows are held out.",
                "Set validationFraction, e.g. to 0.1.",
            )
        if patience is not None or restore:
            return settings
        for unused in ("stopMetric", "tol", "stopMode"):
            if self.isSet(self.getParam(unused)):
                raise ConfigurationError(
                    "patience_not_set",
                    f"{unused} is set, but has no effect.",
                    "Set patience to end early, or restoreBest=True to keep the best weights.",
                )
        return None
