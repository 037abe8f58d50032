"""The training of a network that a command line asks for: its options, and the Params they set."""

from __future__ import annotations

import argparse
import json
from typing import Any

from sparkml_dist.errors import UsageError
from sparkml_dist.job.options import at_least, fraction, json_object, shape

__all__ = ["add_network_options", "check_network_options", "network_params"]

# Options that are passed on as they are, and the Param each sets.
_PARAMS = {
    "model": "builder",
    "ranks": "numRanks",
    "epochs": "epochs",
    "batch_size": "batchSize",
    "inputs": "inputs",
    "validation_fraction": "validationFraction",
    "monitor": "monitor",
    "monitor_mode": "monitorMode",
    "patience": "patience",
    "min_delta": "minDelta",
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
}


def add_network_options(parser: argparse.ArgumentParser) -> None:
    """Add what tells which network is trained, and how."""
    _add_network(parser)
    _add_validation(parser)
    _add_recovery(parser)
    _add_step(parser)


def _add_network(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("network")
    group.add_argument(
        "--model",
        default="mlp",
        metavar="NAME",
        help="mlp, cnn, or FILE.py:FUNCTION, a function of input_shape and n_classes that returns "
        "a compiled Keras model (default: %(default)s)",
    )
    group.add_argument(
        "--input-shape",
        type=shape,
        metavar="H,W,C",
        help="shape that a row's features are given, e.g. 28,28,1 (default: one dimension)",
    )
    group.add_argument(
        "--inputs",
        type=json_object,
        metavar="JSON",
        help='the columns of each input, e.g. \'{"image": {"columns": "p*", "shape": [28, 28, 1]}, '
        '"shop": ["shop_id"]}\'',
    )
    group.add_argument(
        "--regression", action="store_true", help="take the label for a number to be predicted"
    )
    group.add_argument(
        "--ranks",
        type=at_least(1),
        default=2,
        metavar="N",
        help="processes that train side by side, a Spark slot each (default: %(default)s)",
    )
    group.add_argument(
        "--epochs",
        type=at_least(1),
        default=10,
        metavar="N",
        help="passes over the data, at most (default: %(default)s)",
    )
    group.add_argument(
        "--batch-size",
        type=at_least(1),
        metavar="N",
        help="rows of one step on each rank (default: 16 to 256, about 100 steps to an epoch)",
    )
    group.add_argument(
        "--class-weight",
        type=_class_weight,
        metavar="JSON",
        help="balanced, or a factor for the rows of each class, e.g. '{\"yes\": 5}'",
    )


def _add_validation(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("validation and end")
    group.add_argument(
        "--validation-fraction",
        type=fraction,
        metavar="F",
        help="share of the training rows that is scored after each epoch, and not learnt from",
    )
    group.add_argument(
        "--patience",
        type=at_least(1),
        metavar="N",
        help="end after so many epochs without improvement, with the weights of the best one",
    )
    group.add_argument(
        "--monitor", metavar="NAME", help="metric to go by (default: val_loss, or else loss)"
    )
    group.add_argument(
        "--monitor-mode",
        choices=("auto", "min", "max"),
        help="which way it gets better (default: told by the metric)",
    )
    group.add_argument(
        "--min-delta", type=at_least(0, float), metavar="F", help="least change of it that counts"
    )
    group.add_argument(
        "--restore-best",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="keep the weights of the best epoch (default: with --patience)",
    )
    group.add_argument(
        "--callbacks",
        metavar="FILE.py:FUNCTION",
        help="a function that returns Keras callbacks; they run in rank 0",
    )
    group.add_argument(
        "--tensorboard",
        action="store_true",
        default=None,
        help="write event files to model/logs/tensorboard in the output folder",
    )


def _add_recovery(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("checkpoints (--resume goes on from the last one)")
    group.add_argument(
        "--checkpoint-every",
        type=at_least(0),
        metavar="N",
        help="steps between checkpoints (default: one at the end of each epoch)",
    )
    group.add_argument(
        "--keep-checkpoints",
        type=at_least(0),
        metavar="N",
        help="checkpoints that stay when the training has ended (default: none)",
    )
    group.add_argument(
        "--max-restarts",
        type=at_least(0),
        metavar="N",
        help="times that ranks are launched anew when one was lost (default: 2)",
    )


def _add_step(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("steps")
    group.add_argument(
        "--learning-rate-scaling",
        choices=("none", "linear", "sqrt"),
        help="raise the learning rate with the number of ranks (default: none)",
    )
    group.add_argument(
        "--warmup-epochs",
        type=at_least(0, float),
        metavar="F",
        help="epochs over which the learning rate rises to its value",
    )
    group.add_argument(
        "--clip-norm",
        type=at_least(0, float),
        metavar="F",
        help="largest norm of all gradients together",
    )
    group.add_argument(
        "--accumulate",
        type=at_least(1),
        metavar="N",
        help="batches of each rank in one update (default: 1)",
    )
    group.add_argument(
        "--mixed-precision",
        choices=("none", "bfloat16", "float16"),
        help="what layers compute in (default: none, float32)",
    )
    group.add_argument(
        "--compression",
        choices=("none", "fp16"),
        help="send gradients between hosts in half precision (default: none)",
    )
    group.add_argument(
        "--fusion-mb",
        type=at_least(0, float),
        metavar="F",
        help="MiB of gradients that Horovod sends at once (default: its own)",
    )
    group.add_argument(
        "--cycle-ms",
        type=at_least(0, float),
        metavar="F",
        help="milliseconds for which Horovod gathers gradients (default: its own)",
    )


def check_network_options(args: argparse.Namespace) -> None:
    """Raise for options that do not go together; no session is needed.

    Raises
    ------
    UsageError
        ``usage``.
    """
    if args.regression and args.class_weight is not None:
        raise UsageError("usage", "--class-weight is for classes; a regression has none.")
    if args.inputs and args.input_shape:
        raise UsageError(
            "usage", "--input-shape is for one input: give each input's shape in --inputs."
        )
    if (args.monitor or "").startswith("val_") and args.validation_fraction is None:
        raise UsageError("usage", f"--monitor {args.monitor} needs --validation-fraction.")
    if args.patience is None and not args.restore_best:
        for option in ("monitor", "monitor_mode", "min_delta"):
            if getattr(args, option) is not None:
                raise UsageError(
                    "usage", f"--{option.replace('_', '-')} needs --patience or --restore-best."
                )


def network_params(args: argparse.Namespace) -> dict[str, Any]:
    """Return the Params that `args` of `add_network_options` set."""
    found = {
        name: getattr(args, option)
        for option, name in _PARAMS.items()
        if getattr(args, option) is not None
    }
    if args.input_shape is not None:
        found["inputShape"] = list(args.input_shape)
    return found


def _class_weight(text: str) -> Any:
    if text == "balanced":
        return text
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise argparse.ArgumentTypeError(
            f'must be balanced or a JSON object such as {{"yes": 5}}. Got {text!r}'
        )
    return found
