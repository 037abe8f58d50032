"""The network estimator that a command line describes, and its Params."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from sparkml_dist.errors import UsageError

if TYPE_CHECKING:
    from sparkml_dist.deep.network_estimator import NetworkEstimator

__all__ = [
    "check_network_options",
    "network_estimator",
    "network_params",
    "network_ranks",
]

# Options that set a Param to their own value, and that Param.
_PARAMS = {
    "model": "builder",
    "ranks": "numRanks",
    "epochs": "epochs",
    "batch_size": "batchSize",
    "inputs": "inputs",
    "validation_fraction": "validationFraction",
    "stop_metric": "stopMetric",
    "stop_mode": "stopMode",
    "patience": "patience",
    "tol": "tol",
    "restore_best": "restoreBest",
    "class_weight": "classWeight",
    "callbacks": "callbacks",
    "tensorboard": "tensorboard",
    "checkpoint_every": "checkpointEvery",
    "keep_checkpoints": "keepCheckpoints",
    "max_restarts": "maxRestarts",
    "mixed_precision": "mixedPrecision",
    "learning_rate_scaling": "learningRateScaling",
    "warmup_epochs": "warmupEpochs",
    "clip_norm": "clipNorm",
    "accumulate": "accumulationSteps",
    "compression": "compression",
    "fusion_mb": "fusionMb",
    "cycle_ms": "cycleMs",
    "transport": "transport",
    "stall_timeout": "stallTimeout",
    "silence_timeout": "silenceTimeout",
    "slot_timeout": "slotTimeout",
}


def check_network_options(args: argparse.Namespace) -> None:
    """Raise for options that exclude each other; needs no session.

    Raises
    ------
    UsageError
        ``usage``.
    """
    if args.regression and args.class_weight is not None:
        raise UsageError("usage", "--class-weight is for classification, not for --regression.")
    if args.members and args.regression:
        raise UsageError("usage", "--members is for classification: leave out --regression.")
    if args.targets:
        for option in ("members", "class_weight"):
            if getattr(args, option) is not None:
                raise UsageError(
                    "usage",
                    f"--{option.replace('_', '-')} is for a classifier: leave out --targets.",
                )
        if ":" not in args.model:
            raise UsageError(
                "usage",
                f"--targets needs a network of your own: --model FILE.py:FUNCTION. Got "
                f"{args.model}.",
            )
    if args.inputs and args.input_shape:
        raise UsageError(
            "usage", "--input-shape is for a single input: set each input's shape in --inputs."
        )
    if (args.stop_metric or "").startswith("val_") and args.validation_fraction is None:
        raise UsageError("usage", f"--stop-metric {args.stop_metric} needs --validation-fraction.")
    if args.patience is None and not args.restore_best:
        for option in ("stop_metric", "stop_mode", "tol"):
            if getattr(args, option) is not None:
                raise UsageError(
                    "usage", f"--{option.replace('_', '-')} needs --patience or --restore-best."
                )


def network_params(args: argparse.Namespace) -> dict[str, Any]:
    """Return the Params that the options of `sparkml_dist.cli.network_options` set."""
    found = {
        name: getattr(args, option)
        for option, name in _PARAMS.items()
        if getattr(args, option) is not None
    }
    found["numRanks"] = network_ranks(args)
    if args.input_shape is not None:
        found["inputShape"] = list(args.input_shape)
    if args.members is not None:
        found["numMembers"] = args.members
    if args.targets is not None:
        found["targets"] = args.targets
        found["task"] = "regression" if args.regression else "classification"
    return found


def network_ranks(args: argparse.Namespace) -> int:
    """Return the number of ranks of each network."""
    return args.ranks or (1 if args.members else 2)


def network_estimator(args: argparse.Namespace, **more: Any) -> NetworkEstimator:
    """Return the estimator that `args` describe, with the further Params `more`."""
    from sparkml_dist import deep

    if args.targets is not None:
        kind: type[NetworkEstimator] = deep.KerasEstimator
    elif args.members is not None:
        kind = deep.DeepEnsembleClassifier
    else:
        kind = deep.KerasRegressor if args.regression else deep.KerasClassifier
    return kind(**network_params(args), **more)
