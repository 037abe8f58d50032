"""The command-line options of network training."""

from __future__ import annotations

import argparse
import json
from typing import Any

from sparkml_dist.cli.options import at_least, fraction, json_object, shape

__all__ = ["add_network_options"]


def add_network_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the network and its training."""
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
        help="shape of a row's features, e.g. 28,28,1 (default: one dimension)",
    )
    group.add_argument(
        "--inputs",
        type=json_object,
        metavar="JSON",
        help='the columns of each input, e.g. \'{"image": {"columns": "p*", "shape": [28, 28, 1]}, '
        '"shop": ["shop_id"]}\'',
    )
    group.add_argument("--regression", action="store_true", help="predict the label as a number")
    group.add_argument(
        "--targets",
        type=_targets,
        metavar="NAMES|JSON",
        help="train any network: its target columns, or a JSON object of them by output, e.g. "
        '\'{"rating": "stars"}\' (default: a class or a number, the '
        "label)",
    )
    group.add_argument(
        "--members",
        type=at_least(1),
        metavar="N",
        help="number of networks with different seeds, which vote (default: one network)",
    )
    group.add_argument(
        "--ranks",
        type=at_least(1),
        metavar="N",
        help="processes that train a network in parallel, one task slot each (default: 2; with "
        "--members 1)",
    )
    group.add_argument(
        "--epochs",
        type=at_least(1),
        default=10,
        metavar="N",
        help="greatest number of passes over the data (default: %(default)s)",
    )
    group.add_argument(
        "--batch-size",
        type=at_least(1),
        metavar="N",
        help="rows of a step on each rank (default: 16 to 256, about 100 steps per epoch)",
    )
    group.add_argument(
        "--class-weight",
        type=_class_weight,
        metavar="JSON",
        help="balanced, or a weight for the rows of each class, e.g. '{\"yes\": 5}'",
    )


def _add_validation(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("validation and early stopping")
    group.add_argument(
        "--validation-fraction",
        type=fraction,
        metavar="F",
        help="share of the training rows to hold out and score after each epoch",
    )
    group.add_argument(
        "--patience",
        type=at_least(1),
        metavar="N",
        help="epochs without improvement before stopping, with the weights of the best epoch",
    )
    group.add_argument(
        "--stop-metric", metavar="NAME", help="metric to monitor (default: val_loss, or else loss)"
    )
    group.add_argument(
        "--stop-mode",
        choices=("auto", "min", "max"),
        help="whether lower or higher is better (default: by the metric's name)",
    )
    group.add_argument(
        "--tol", type=at_least(0, float), metavar="F", help="least improvement that counts"
    )
    group.add_argument(
        "--restore-best",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="restore the weights of the best epoch (default: with --patience)",
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
    group = parser.add_argument_group("checkpoints (--resume continues from the last one)")
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
        help="checkpoints to keep when the training has ended (default: none)",
    )
    group.add_argument(
        "--max-restarts",
        type=at_least(0),
        metavar="N",
        help="greatest number of restarts after the loss of a rank (default: 2)",
    )
    group.add_argument(
        "--stall-timeout",
        type=at_least(0, float),
        metavar="S",
        help="seconds without a batch on any rank after which all are lost; 0: never (default: "
        "600)",
    )
    group.add_argument(
        "--silence-timeout",
        type=at_least(0, float),
        metavar="S",
        help="seconds without a heartbeat of a rank after which it counts as lost, as when it is "
        "stopped; 0: never (default: 300)",
    )
    group.add_argument(
        "--slot-timeout",
        type=at_least(0, float),
        metavar="S",
        help="seconds to wait for executors and for task slots that other jobs hold (default: 600)",
    )


def _add_step(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("steps")
    group.add_argument(
        "--learning-rate-scaling",
        choices=("none", "linear", "sqrt"),
        help="scale the learning rate with the number of ranks (default: none)",
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
        help="greatest global norm of the gradients",
    )
    group.add_argument(
        "--accumulate",
        type=at_least(1),
        metavar="N",
        help="batches of each rank per update (default: 1)",
    )
    group.add_argument(
        "--mixed-precision",
        choices=("none", "bfloat16", "float16"),
        help="floating-point type of the layers' computation (default: none, float32)",
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
        help="Horovod's fusion buffer in MiB (default: its own)",
    )
    group.add_argument(
        "--cycle-ms",
        type=at_least(0, float),
        metavar="F",
        help="Horovod's cycle time in milliseconds (default: its own)",
    )
    group.add_argument(
        "--transport",
        choices=("auto", "horovod"),
        help="auto: ranks of one host sum gradients in shared memory; horovod: always use Horovod "
        "(default: auto)",
    )


def _targets(text: str) -> Any:
    return json_object(text) if text.lstrip().startswith("{") else text.split(",")


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
