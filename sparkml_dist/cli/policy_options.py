"""The options of the job that learns a policy from a log."""

from __future__ import annotations

import argparse

from sparkml_dist.cli.choices import ESTIMATES, POLICY_ALGORITHMS
from sparkml_dist.cli.options import (
    JobParser,
    add_common_options,
    add_existing_output_options,
    add_reading_options,
    at_least,
    fraction,
    size,
)
from sparkml_dist.errors import nearest

__all__ = ["options"]


def options() -> JobParser:
    """Return the job's options."""
    parser = JobParser(
        "learn_policy",
        "Learn which action to take in which state, from a log of actions and rewards, and "
        "estimate the value of that policy from the same log. Writes model/, policy/ (a Parquet "
        "table of states and actions) and metrics.json.",
        [
            "--transitions log.parquet --episode machine --step hour --state heat wear --reward "
            "gain --terminated over --discount 0.95 --evaluate fqe,wis --output out",
            "--transitions moves.csv --state s --next-state s2 --action a --reward r "
            "--terminated done --algorithm batch-q --output out",
            "--transitions log.parquet --episode run --step t --state x v --action push --reward "
            "gain --terminated fell --truncated timeout --algorithm cql --ranks 2 --output out",
            "--transitions clicks.parquet --state hour age --action banner --reward click "
            "--behavior-prob p --algorithm bandit-dr --evaluate dr --output out",
        ],
    )
    data = parser.add_argument_group("data")
    data.add_argument(
        "--transitions",
        required=True,
        metavar="URI",
        help="the log, a row for each action: a file, folder or pattern",
    )
    add_reading_options(parser)
    _add_columns(parser)
    _add_learning(parser)
    _add_evaluation(parser)
    shards = parser.add_argument_group("shards").add_mutually_exclusive_group()
    shards.add_argument("--shards", type=at_least(1), metavar="N", help="number of shards")
    shards.add_argument(
        "--memory-per-task",
        type=size,
        metavar="SIZE",
        help="memory of a task, for which shards are made small enough (default: 512m)",
    )
    output = parser.add_argument_group("output")
    output.add_argument(
        "--output",
        required=True,
        metavar="DIR",
        help="folder for model/, policy/, shards/ and metrics.json",
    )
    add_existing_output_options(output, kept="a complete one is left as it is")
    add_common_options(parser)
    return parser


def _add_columns(parser: JobParser) -> None:
    group = parser.add_argument_group("columns (a COL is a name, or an index from 0)")
    group.add_argument("--episode", metavar="COL", help="identifies an episode")
    group.add_argument("--step", metavar="COL", help="order of the rows of an episode")
    group.add_argument(
        "--state",
        nargs="+",
        action="extend",
        required=True,
        metavar="COL",
        help="the state in which the action was taken",
    )
    group.add_argument(
        "--next-state",
        nargs="+",
        action="extend",
        metavar="COL",
        help="the state after the action, where rows have it (default: that of the episode's next "
        "row)",
    )
    group.add_argument(
        "--action",
        nargs="+",
        default=["action"],
        metavar="COL",
        help="the action; several columns for one of several numbers (default: action)",
    )
    group.add_argument(
        "--reward", default="reward", metavar="COL", help="reward of the action (default: reward)"
    )
    group.add_argument(
        "--terminated", metavar="COL", help="whether the episode ended with the action"
    )
    group.add_argument(
        "--truncated", metavar="COL", help="whether the episode was cut off after the action"
    )
    group.add_argument("--weight", metavar="COL", help="weight of a row, >= 0")
    group.add_argument(
        "--behavior-prob",
        metavar="COL",
        help="probability with which the logged action was taken, in (0, 1]",
    )
    group.add_argument(
        "--discount-col", metavar="COL", help="discount of what follows a row, in [0, 1]"
    )
    group.add_argument(
        "--gaps",
        choices=("error", "cut", "ignore"),
        default="error",
        help="what a missing step means: an error, the end of a cut-off episode, or nothing "
        "(default: error)",
    )


def _add_learning(parser: JobParser) -> None:
    group = parser.add_argument_group("learning")
    group.add_argument(
        "--algorithm",
        choices=POLICY_ALGORITHMS,
        default="batch-q",
        help="batch-q is exact, for states that repeat or are put into cells; fitted-q learns with "
        "an ensemble of trees, dqn, cql, bcq, iql, td3bc and bc with a network; where each row is "
        "a decision by itself, bandit-dr, bandit-ips and bandit-dm learn its reward with an "
        "ensemble of trees, linucb and thompson with linear models (default: batch-q)",
    )
    group.add_argument(
        "--discount",
        type=_unit,
        default=0.99,
        metavar="F",
        help="discount of future rewards, in [0, 1] (default: 0.99)",
    )
    group.add_argument(
        "--continuous", action="store_true", help="actions are numbers (iql, td3bc, bc)"
    )
    group.add_argument(
        "--discretizer",
        choices=("quantile", "kmeans", "tree"),
        help="put continuous states into cells; tabular algorithms",
    )
    group.add_argument(
        "--cells",
        type=at_least(2),
        metavar="N",
        help="bins of a feature, or centres, or leaves (default: 10)",
    )
    group.add_argument(
        "--method",
        choices=("modified", "policy", "value"),
        help="iteration of batch-q (default: modified)",
    )
    group.add_argument(
        "--pessimism",
        type=at_least(0, float),
        metavar="F",
        help="batch-q subtracts F / sqrt(rows) from each value (default: 0)",
    )
    group.add_argument(
        "--unseen-value",
        type=float,
        metavar="F",
        help="value of actions and states that the log does not have; batch-q",
    )
    group.add_argument(
        "--learning-rate", type=at_least(0, float), metavar="F", help="step size of updates"
    )
    group.add_argument("--rate-decay", type=_unit, metavar="F", help="see QLearning")
    group.add_argument("--epochs", type=at_least(1), metavar="N", help="passes over the log")
    group.add_argument("--epsilon", type=_unit, metavar="F", help="of expected-sarsa")
    group.add_argument(
        "--iterations",
        type=at_least(1),
        metavar="N",
        help="largest number of iterations: batch-q, fitted-q",
    )
    group.add_argument(
        "--advantage",
        type=_unit,
        metavar="F",
        help="widen the gaps between actions; fitted-q, such as 0.9 (default: 0)",
    )
    group.add_argument(
        "--alpha",
        type=at_least(0, float),
        metavar="F",
        help="strength of cql or td3bc; penalty of linucb and thompson",
    )
    group.add_argument(
        "--exploration",
        type=at_least(0, float),
        metavar="F",
        help="standard deviations that linucb adds, or the noise's of thompson (default: 1)",
    )
    group.add_argument(
        "--clip",
        type=at_least(0, float),
        metavar="F",
        help="largest 1 / probability; bandit-dr, bandit-ips",
    )
    group.add_argument("--n-steps", type=at_least(1), metavar="N", help="steps of a return; dqn")
    group.add_argument(
        "--hidden-units", nargs="+", type=at_least(1), metavar="N", help="layers of a network"
    )
    group.add_argument("--batch-size", type=at_least(1), metavar="N", help="of a network")
    group.add_argument("--ranks", type=at_least(1), metavar="N", help="that train a network")


def _add_evaluation(parser: JobParser) -> None:
    group = parser.add_argument_group("evaluation on the log")
    group.add_argument(
        "--evaluate",
        type=_methods,
        default=[],
        metavar="LIST",
        help=f"estimates of the policy's value, separated by commas: {', '.join(ESTIMATES)}",
    )
    group.add_argument(
        "--level", type=fraction, default=0.95, metavar="F", help="of intervals (default: 0.95)"
    )
    group.add_argument(
        "--replicates",
        type=at_least(0),
        default=500,
        metavar="N",
        help="bootstrap replicates of episodes (default: 500)",
    )
    group.add_argument(
        "--reward-range",
        nargs=2,
        type=float,
        metavar=("LEAST", "MOST"),
        help="bound the value where the policy takes actions that the log never takes, in place "
        "of an error",
    )


def _unit(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be a number in [0, 1]. Got {text!r}")
    return value


def _methods(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in ESTIMATES:
            raise argparse.ArgumentTypeError(
                f"must be of {', '.join(ESTIMATES)}. Got {name!r}.{nearest(name, ESTIMATES)}"
            )
    return names
