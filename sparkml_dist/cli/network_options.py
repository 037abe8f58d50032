"""The options of a command line that trains a network."""

from __future__ import annotations

import argparse
import json
from typing import Any

from sparkml_dist.cli.options import at_least, fraction, json_object, shape

__all__ = ["add_network_options"]


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
        "--targets",
        type=_targets,
        metavar="NAMES|JSON",
        help="train any network: the columns, or a column for each output as JSON, that its loss "
        'compares outputs with, e.g. \'{"rating": "stars"}\' (default: a class or a number, the '
        "label)",
    )
    group.add_argument(
        "--members",
        type=at_least(1),
        metavar="N",
        help="train so many networks with seeds of their own, which vote (default: one network)",
    )
    group.add_argument(
        "--ranks",
        type=at_least(1),
        metavar="N",
        help="processes that train a network side by side, a Spark slot each (default: 2, of each "
        "of --members 1)",
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
        "--stop-metric", metavar="NAME", help="metric to go by (default: val_loss, or else loss)"
    )
    group.add_argument(
        "--stop-mode",
        choices=("auto", "min", "max"),
        help="which way it gets better (default: told by the metric)",
    )
    group.add_argument(
        "--tol", type=at_least(0, float), metavar="F", help="least change of it that counts"
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
    group.add_argument(
        "--stall-timeout",
        type=at_least(0, float),
        metavar="S",
        help="seconds without a batch on any rank after which they are lost; 0: never (default: "
        "600)",
    )
    group.add_argument(
        "--silence-timeout",
        type=at_least(0, float),
        metavar="S",
        help="seconds without a sign of life of a rank after which it is lost, as when it is "
        "stopped; 0: never (default: 300)",
    )
    group.add_argument(
        "--slot-timeout",
        type=at_least(0, float),
        metavar="S",
        help="seconds to wait for executors to come, and for slots that other jobs hold (default: "
        "600)",
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
    group.add_argument(
        "--transport",
        choices=("auto", "horovod"),
        help="auto: ranks of one host sum gradients in shared memory; horovod: Horovod does it in "
        "any case (default: auto)",
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
