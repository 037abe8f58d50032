"""The Params that all Keras estimators share, and what they amount to."""

from __future__ import annotations

from typing import Any

from pyspark.ml.param import TypeConverters

from sparkml_dist.deep.params.early_stopping_settings import EarlyStoppingSettings
from sparkml_dist.errors import ConfigurationError
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

    inputs: Any = param(
        "inputs",
        "for each of the network's inputs its columns, or a dict of columns, shape and dtype; all "
        "features as one input when not set",
    )
    validationFraction: Any = param(
        "validationFraction",
        "share of the rows, told by their keys, that is kept from training and scored after each "
        "epoch (>= 0, < 1)",
        TypeConverters.toFloat,
    )
    stopMetric: Any = param(
        "stopMetric",
        "metric that patience and restoreBest go by; val_loss where rows are kept for validation, "
        "else loss, when not set",
        TypeConverters.toString,
    )
    stopMode: Any = param(
        "stopMode",
        "whether a small ('min') or a large ('max') value of stopMetric is the better one; 'auto' "
        "to go by its name",
        TypeConverters.toString,
    )
    patience: Any = param(
        "patience",
        "epochs without improvement after which the training ends (>= 1); it goes on to the last "
        "epoch when not set",
        TypeConverters.toInt,
    )
    tol: Any = param(
        "tol", "least improvement of stopMetric that counts (>= 0)", TypeConverters.toFloat
    )
    restoreBest: Any = param(
        "restoreBest",
        "whether the network ends with the weights of its best epoch; so by default where patience "
        "is set",
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
        """Return when to end and what to keep; None to go on to the last epoch as it comes.

        Raises
        ------
        ConfigurationError
            For values out of range, and for settings that nothing would make use of.
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
                f"stopMetric={metric!r} is a metric of rows kept from training, but none are.",
                "Set validationFraction, e.g. to 0.1.",
            )
        if patience is not None or restore:
            return settings
        for unused in ("stopMetric", "tol", "stopMode"):
            if self.isSet(self.getParam(unused)):
                raise ConfigurationError(
                    "patience_not_set",
                    f"{unused} is set, but nothing goes by it.",
                    "Set patience to end early, or restoreBest=True to keep the best weights.",
                )
        return None
