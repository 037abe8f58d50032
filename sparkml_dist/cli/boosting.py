"""The options of boosted trees, and the estimator that they describe."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from sparkml_dist.cli.options import at_least, fraction, json_object
from sparkml_dist.errors import UsageError

if TYPE_CHECKING:
    from sparkml_dist.boosting.estimator import BoostingEstimator

__all__ = ["add_boosting_options", "boosting_estimator", "boosting_params"]

# Options that set a Param to their own value, and that Param.
_PARAMS = {
    "members": "numMembers",
    "ranks": "numRanks",
    "learning_rate": "learningRate",
    "max_depth": "maxDepth",
    "max_leaves": "maxLeaves",
    "grow_policy": "growPolicy",
    "max_bin": "maxBin",
    "min_child_weight": "minChildWeight",
    "min_split_loss": "minSplitLoss",
    "subsample": "subsample",
    "colsample_by_tree": "colsampleByTree",
    "reg_lambda": "regLambda",
    "reg_alpha": "regAlpha",
    "monotone_constraints": "monotoneConstraints",
    "interaction_constraints": "interactionConstraints",
    "objective": "objective",
    "eval_metric": "evalMetric",
    "validation_fraction": "validationFraction",
    "stop_metric": "stopMetric",
    "patience": "patience",
    "tol": "tol",
    "checkpoint_rounds": "checkpointRounds",
    "keep_checkpoints": "keepCheckpoints",
    "max_restarts": "maxRestarts",
    "external_memory": "externalMemory",
    "extra_params": "extraParams",
    "stall_timeout": "stallTimeout",
    "silence_timeout": "silenceTimeout",
    "slot_timeout": "slotTimeout",
}
_positive = at_least(1)
_number = at_least(0, float)
_count = at_least(0)


def add_boosting_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the trees, the rounds and the ranks."""
    group = parser.add_argument_group("trees")
    group.add_argument("--regression", action="store_true", help="predict the label as a number")
    _add(group, "members", "greatest number of rounds (default: 100)", type=_positive)
    _add(
        group,
        "ranks",
        "processes that train in parallel, one task slot each (default: 2)",
        type=_positive,
    )
    _add(group, "learning-rate", "factor on each tree's step (default: 0.3)", type=float)
    _add(group, "max-depth", "most levels of a tree; 0: no limit (default: 6)", type=_count)
    _add(group, "max-leaves", "most leaves of a tree; 0: no limit (default: 0)", type=_count)
    _add(
        group,
        "grow-policy",
        "level by level, or first the best split (default: depthwise)",
        choices=("depthwise", "lossguide"),
    )
    _add(group, "max-bin", "most bins of a feature (default: 256)", type=at_least(2))
    _add(group, "min-child-weight", "least sum of hessians in a leaf (default: 1)", type=_number)
    _add(group, "min-split-loss", "least gain of a split (default: 0)", type=_number)
    _add(group, "subsample", "share of the rows for each tree (default: 1)", type=float)
    _add(group, "colsample-by-tree", "share of the features for each tree (default: 1)", type=float)
    _add(group, "reg-lambda", "L2 penalty on leaves (default: 1)", type=_number)
    _add(group, "reg-alpha", "L1 penalty on leaves (default: 0)", type=_number)
    _add(
        group,
        "monotone-constraints",
        "directions by column, e.g. '{\"price\": -1}'",
        type=json_object,
        metavar="JSON",
    )
    group.add_argument(
        "--interaction-constraints",
        type=_groups,
        metavar="A,B;C,D",
        help="groups of columns; the features on a path of a tree are all in one of them",
    )
    _add(group, "objective", "one of XGBoost's for the task (default: by the label)")
    _add(
        group,
        "extra-params",
        "further parameters by XGBoost's names, e.g. '{\"max_cat_to_onehot\": 8}'",
        type=json_object,
        metavar="JSON",
    )
    group = parser.add_argument_group("validation and early stopping")
    group.add_argument(
        "--eval-metric",
        nargs="+",
        metavar="NAME",
        help="metrics of each round (default: that of the objective)",
    )
    _add(
        group,
        "validation-fraction",
        "share of the training rows to hold out and score after each round",
        type=fraction,
    )
    _add(group, "patience", "rounds without improvement before stopping", type=_positive)
    _add(group, "stop-metric", "metric to stop by (default: the last one, of held-out rows)")
    _add(group, "tol", "least improvement that counts (default: 0)", type=_number)
    group = parser.add_argument_group("ranks (--resume continues from the last checkpoint)")
    group.add_argument(
        "--external-memory",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="keep binned rows on the executors' disks (default: if --memory-per-task demands it)",
    )
    _add(
        group, "checkpoint-rounds", "rounds between checkpoints; 0: none (default: 20)", type=_count
    )
    _add(
        group,
        "keep-checkpoints",
        "checkpoints to keep, for --resume with more --members (default: 0)",
        type=_count,
    )
    _add(group, "max-restarts", "most restarts after the loss of a rank (default: 2)", type=_count)
    _add(
        group,
        "stall-timeout",
        "seconds without a round or a block of rows after which all ranks are lost; 0: never "
        "(default: 600)",
        type=_number,
    )
    _add(
        group,
        "silence-timeout",
        "seconds without a heartbeat of a rank after which it counts as lost; 0: never (default: "
        "300)",
        type=_number,
    )
    _add(
        group,
        "slot-timeout",
        "seconds to wait for executors and for task slots that other jobs hold (default: 600)",
        type=_number,
    )


def _add(group: Any, name: str, text: str, **more: Any) -> None:
    if "choices" not in more:
        more.setdefault("metavar", "N" if more.get("type") in (_positive, _count) else "F")
    if more.get("type") is None and "choices" not in more:
        more["metavar"] = "NAME"
    group.add_argument(f"--{name}", help=text, **more)


def _groups(text: str) -> list[list[str]]:
    return [[name.strip() for name in group.split(",")] for group in text.split(";")]


def boosting_params(args: argparse.Namespace) -> dict[str, Any]:
    """Return the Params that the options set.

    Raises
    ------
    UsageError
        ``usage`` for options without an effect.
    """
    if args.patience is None:
        for option in ("stop_metric", "tol"):
            if getattr(args, option) is not None:
                raise UsageError("usage", f"--{option.replace('_', '-')} needs --patience.")
    if (args.stop_metric or "").startswith("val_") and args.validation_fraction is None:
        raise UsageError("usage", f"--stop-metric {args.stop_metric} needs --validation-fraction.")
    return {
        name: getattr(args, option)
        for option, name in _PARAMS.items()
        if getattr(args, option) is not None
    }


def boosting_estimator(args: argparse.Namespace, **more: Any) -> BoostingEstimator:
    """Return the estimator that `args` describe, with the further Params `more`."""
    from sparkml_dist import boosting

    kind: type[BoostingEstimator] = (
        boosting.XGBoostRegressor if args.regression else boosting.XGBoostClassifier
    )
    found: BoostingEstimator = kind(**boosting_params(args), **more)
    return found
