"""The options of the job that learns a Bayesian network."""

from __future__ import annotations

import argparse

from sparkml_dist.cli.choices import CORRECTIONS, GRAPH_SCORES, INDEPENDENCE_TESTS, STRUCTURES
from sparkml_dist.cli.options import (
    JobParser,
    add_common_options,
    add_existing_output_options,
    add_reading_options,
    at_least,
    fraction,
)

__all__ = ["options"]


def options() -> JobParser:
    """Return the job's options."""
    parser = JobParser(
        "learn_network",
        "Learn a Bayesian network from a table whose columns hold categories: the graph, and the "
        "probabilities. Writes network.bif, network.png, network.svg and model/.",
        [
            "--input alarm.csv.gz --structure hill-climbing --score bic --output out",
            "--input asia.csv --structure chow-liu --output out",
            "--input claims.parquet --structure tan --label fraud --output out",
        ],
    )
    data = parser.add_argument_group("data")
    data.add_argument(
        "--input", required=True, metavar="URI", help="the rows: a file, folder or pattern"
    )
    add_reading_options(parser)
    columns = parser.add_argument_group("columns (a PATTERN is a name, an index or a glob)")
    columns.add_argument(
        "--label",
        metavar="COL",
        help="the class, for naive-bayes and tan; the root of a chow-liu tree",
    )
    columns.add_argument(
        "--features",
        nargs="+",
        action="extend",
        metavar="PATTERN",
        help="columns of the other variables (default: all)",
    )
    _add_structure_options(parser)
    output = parser.add_argument_group("output")
    output.add_argument(
        "--output",
        required=True,
        metavar="DIR",
        help="folder for model/, network.bif, network.png, network.svg and metrics.json",
    )
    add_existing_output_options(output)
    add_common_options(parser)
    return parser


def _add_structure_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("network")
    group.add_argument(
        "--structure",
        choices=STRUCTURES,
        default="hill-climbing",
        help="how the graph is learned (default: hill-climbing)",
    )
    group.add_argument("--score", choices=GRAPH_SCORES, help="score of a graph (default: bic)")
    group.add_argument(
        "--equivalent-sample-size",
        type=at_least(1e-9, float),
        metavar="F",
        help="of BDeu and of Bayesian estimation (default: 10)",
    )
    group.add_argument(
        "--max-parents", type=at_least(1), metavar="N", help="most parents (default: 5)"
    )
    group.add_argument(
        "--tabu-length",
        type=at_least(0),
        metavar="N",
        help="graphs that hill climbing does not visit again (default: 10)",
    )
    group.add_argument(
        "--restarts",
        type=at_least(0),
        metavar="N",
        help="searches over orders of the variables (default: 1)",
    )
    for name, text in (("white-list", "must have"), ("black-list", "must not have")):
        group.add_argument(
            f"--{name}",
            nargs="+",
            action="extend",
            type=_arc,
            metavar="A,B",
            help=f"arcs from A to B that the graph {text}",
        )
    group.add_argument(
        "--independence-test",
        choices=INDEPENDENCE_TESTS,
        help="test of --structure pc (default: x2)",
    )
    group.add_argument(
        "--alpha", type=fraction, metavar="F", help="level of that test (default: 0.05)"
    )
    group.add_argument(
        "--correction", choices=CORRECTIONS, help="correction for many tests (default: none)"
    )
    group.add_argument(
        "--estimation",
        choices=("bayesian", "maximum-likelihood"),
        help="of the probabilities (default: bayesian)",
    )
    group.add_argument(
        "--handle-invalid",
        choices=("error", "skip", "em"),
        help="rows with missing values: refuse them, leave them out, or estimate by EM "
        "(default: error)",
    )
    group.add_argument(
        "--bootstraps",
        type=at_least(0),
        metavar="N",
        help="bootstrap samples for the strengths of arcs (default: 0)",
    )
    group.add_argument(
        "--form",
        choices=("auto", "jobs", "task"),
        help="a Spark job for each pass over the rows, or one task that holds them "
        "(default: by their size)",
    )


def _arc(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if len(names) != 2 or not all(names) or names[0] == names[1]:
        raise argparse.ArgumentTypeError(f"must be two names such as A,B. Got {text!r}")
    return names
