"""Params of the estimators that boost trees."""

from __future__ import annotations

import math
from typing import Any

from pyspark.ml.param import TypeConverters

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.params import AccessibleParams, param

__all__ = ["HasBoosting"]

# Least and greatest value of each Param that is a number; whether the ends belong to the range.
_RANGES: dict[str, tuple[float, float, bool, bool]] = {
    "numMembers": (1, math.inf, True, False),
    "numRanks": (1, math.inf, True, False),
    "learningRate": (0, math.inf, False, False),
    "maxDepth": (0, math.inf, True, False),
    "maxLeaves": (0, math.inf, True, False),
    "maxBin": (2, 65_536, True, True),
    "minChildWeight": (0, math.inf, True, False),
    "minSplitLoss": (0, math.inf, True, False),
    "subsample": (0, 1, False, True),
    "colsampleByTree": (0, 1, False, True),
    "regLambda": (0, math.inf, True, False),
    "regAlpha": (0, math.inf, True, False),
    "validationFraction": (0, 1, True, False),
    "patience": (1, math.inf, True, False),
    "tol": (0, math.inf, True, False),
    "checkpointRounds": (0, math.inf, True, False),
    "keepCheckpoints": (0, math.inf, True, False),
    "maxRestarts": (0, math.inf, True, False),
}


class HasBoosting(AccessibleParams):
    """Params of the trees, the rounds, early stopping and checkpoints."""

    numMembers: Any = param(
        "numMembers",
        "most rounds of boosting: a tree, or one for each class (>= 1)",
        TypeConverters.toInt,
    )
    numRanks: Any = param(
        "numRanks", "processes that train at the same time (>= 1)", TypeConverters.toInt
    )
    learningRate: Any = param(
        "learningRate", "factor on the step of each tree (> 0)", TypeConverters.toFloat
    )
    maxDepth: Any = param(
        "maxDepth", "most levels of a tree (>= 0; 0: no limit)", TypeConverters.toInt
    )
    maxLeaves: Any = param(
        "maxLeaves", "most leaves of a tree (>= 0; 0: no limit)", TypeConverters.toInt
    )
    growPolicy: Any = param(
        "growPolicy",
        "'depthwise': level by level; 'lossguide': first the split with the greatest gain",
        TypeConverters.toString,
    )
    maxBin: Any = param("maxBin", "most bins of a feature (2 to 65536)", TypeConverters.toInt)
    minChildWeight: Any = param(
        "minChildWeight", "least sum of hessians in a leaf (>= 0)", TypeConverters.toFloat
    )
    minSplitLoss: Any = param(
        "minSplitLoss", "least gain of a split, XGBoost's gamma (>= 0)", TypeConverters.toFloat
    )
    subsample: Any = param(
        "subsample", "share of the rows that a tree is grown on (> 0, <= 1)", TypeConverters.toFloat
    )
    colsampleByTree: Any = param(
        "colsampleByTree",
        "share of the features that a tree is grown on (> 0, <= 1)",
        TypeConverters.toFloat,
    )
    regLambda: Any = param(
        "regLambda", "L2 penalty on the values of leaves (>= 0)", TypeConverters.toFloat
    )
    regAlpha: Any = param(
        "regAlpha", "L1 penalty on the values of leaves (>= 0)", TypeConverters.toFloat
    )
    monotoneConstraints: Any = param(
        "monotoneConstraints",
        "a dict from feature columns to 1 (the prediction rises with it), -1 (falls) or 0",
    )
    interactionConstraints: Any = param(
        "interactionConstraints",
        "lists of feature columns; the features on a path of a tree are all in one of them",
    )
    objective: Any = param(
        "objective",
        "one of XGBoost's objectives for the task, a function of margins and DMatrix that returns "
        "gradient and hessian, or the dotted path of one; the default of the task when not set",
    )
    evalMetric: Any = param(
        "evalMetric",
        "XGBoost's metrics to compute after each round; that of the objective when not set",
        TypeConverters.toListString,
    )
    validationFraction: Any = param(
        "validationFraction",
        "share of the rows, chosen by their keys, that is held out from training and evaluated "
        "after each round (>= 0, < 1)",
        TypeConverters.toFloat,
    )
    stopMetric: Any = param(
        "stopMetric",
        "metric to stop by; the last of evalMetric on the held-out rows when not set",
        TypeConverters.toString,
    )
    patience: Any = param(
        "patience",
        "rounds without improvement after which the training ends (>= 1); no early stopping when "
        "not set",
        TypeConverters.toInt,
    )
    tol: Any = param(
        "tol", "least change of stopMetric that is an improvement (>= 0)", TypeConverters.toFloat
    )
    checkpointRounds: Any = param(
        "checkpointRounds",
        "rounds from one checkpoint in modelDir to the next (>= 0; 0: none)",
        TypeConverters.toInt,
    )
    keepCheckpoints: Any = param(
        "keepCheckpoints",
        "number of the last checkpoints to keep in modelDir after the training, one of its end "
        "among them, to go on with more rounds (>= 0)",
        TypeConverters.toInt,
    )
    maxRestarts: Any = param(
        "maxRestarts",
        "most restarts, from the last checkpoint, of a gang that has lost a rank (>= 0)",
        TypeConverters.toInt,
    )
    externalMemory: Any = param(
        "externalMemory",
        "whether a rank keeps its binned rows on the executor's disk; when not set, if they do not "
        "fit into memoryPerTask",
        TypeConverters.toBoolean,
    )
    extraParams: Any = param(
        "extraParams", "a dict of further parameters of XGBoost, by XGBoost's names"
    )

    def _check_numbers(self) -> None:
        """Raise unless every number is in its range.

        Raises
        ------
        ConfigurationError
            ``invalid_param``.
        """
        for name, (least, most, closed, closed_above) in _RANGES.items():
            value = self._value(self.getParam(name))
            if value is None:
                continue
            above = value >= least if closed else value > least
            below = value <= most if closed_above else value < most
            if not (above and below):
                raise ConfigurationError(
                    "invalid_param",
                    f"{name} must be {'>=' if closed else '>'} {least:g}"
                    + (f" and {'<=' if closed_above else '<'} {most:g}" if most < math.inf else "")
                    + f". Got {value}.",
                )
        policy = self.getOrDefault(self.growPolicy)
        if policy not in ("depthwise", "lossguide"):
            raise ConfigurationError(
                "invalid_param", f"growPolicy must be 'depthwise' or 'lossguide'. Got {policy!r}."
            )
        if self.getOrDefault(self.maxDepth) == self.getOrDefault(self.maxLeaves) == 0:
            raise ConfigurationError(
                "invalid_param",
                "maxDepth and maxLeaves are both 0: trees would grow until no row is left.",
                "Limit one of them.",
            )
