"""Mine the itemsets of baskets, and association rules, into Parquet."""

from __future__ import annotations

import argparse
import sys

from sparkml_dist.cli.choices import BASKET_FORMATS
from sparkml_dist.cli.options import (
    JobParser,
    add_common_options,
    add_existing_output_options,
    at_least,
    share,
    size,
)
from sparkml_dist.cli.runner import Job, run_job

NAME = "mine_itemsets"


def options() -> JobParser:
    """Return the job's options."""
    parser = JobParser(
        NAME,
        "Find all itemsets that occur in many baskets, exactly, and the association rules between "
        "them. Writes Parquet: itemsets/ (items, count, support) and, with --rules, rules/.",
        [
            "--input baskets.dat --min-support 0.01 --output out",
            "--input sales.csv --items product --basket receipt --rules --output out",
            "--input mushroom.svm --label-as-item --min-support 0.3 --target closed --output out",
        ],
    )
    data = parser.add_argument_group("data")
    data.add_argument(
        "--input", required=True, metavar="URI", help="baskets: a file, folder or pattern"
    )
    data.add_argument(
        "--format",
        choices=BASKET_FORMATS,
        help="dat: one basket per line, items separated by blanks; csv: one item per row; "
        "parquet: arrays, or one item per row; libsvm: the nonzero features "
        "(default: by the name)",
    )
    data.add_argument(
        "--items", metavar="COL", help="column of items, or of arrays of items (default: items)"
    )
    data.add_argument("--basket", metavar="COL", help="column that identifies the basket of a row")
    data.add_argument(
        "--no-header",
        action="store_true",
        help="a csv file has no header: columns are c0, c1, … or their indices",
    )
    data.add_argument(
        "--delimiter", metavar="TEXT", help="separator of a csv file's fields or a dat file's items"
    )
    data.add_argument(
        "--encoding",
        metavar="NAME",
        help="encoding of a csv or dat file, such as windows-1252 or UTF-16 (default: UTF-8, and "
        "windows-1252 for lines that are not valid UTF-8)",
    )
    data.add_argument(
        "--label-as-item", action="store_true", help="add the label of a libsvm row as an item"
    )
    mining = parser.add_argument_group("itemsets")
    least = mining.add_mutually_exclusive_group()
    least.add_argument(
        "--min-support",
        type=share,
        metavar="F",
        help="least share of the baskets, up to 1 (default: 0.1)",
    )
    least.add_argument(
        "--min-count",
        type=at_least(1),
        metavar="N",
        help="least number of baskets, in place of --min-support",
    )
    mining.add_argument(
        "--target",
        choices=("frequent", "closed", "maximal"),
        default="frequent",
        help="all itemsets, or the closed or maximal ones among them (default: frequent)",
    )
    mining.add_argument(
        "--max-length", type=at_least(1), metavar="N", help="most items of an itemset"
    )
    mining.add_argument(
        "--max-itemsets",
        type=at_least(1),
        metavar="N",
        help="fail before mining where more are estimated (default: 20000000)",
    )
    mining.add_argument(
        "--memory-per-task",
        type=size,
        metavar="SIZE",
        help="memory of a task's Python worker (default: 512m)",
    )
    rules = parser.add_argument_group("rules")
    rules.add_argument("--rules", action="store_true", help="generate association rules too")
    rules.add_argument(
        "--min-confidence", type=share, metavar="F", help="least confidence (default: 0.8)"
    )
    rules.add_argument(
        "--max-consequent", type=at_least(1), metavar="N", help="most items of a consequent"
    )
    output = parser.add_argument_group("output")
    output.add_argument(
        "--output", required=True, metavar="DIR", help="folder for itemsets/, rules/, metrics.json"
    )
    add_existing_output_options(output)
    add_common_options(parser, seed=False, model=False)
    return parser


def main(args: argparse.Namespace, job: Job) -> None:
    """Run the job."""
    from sparkml_dist.cli.itemsets import mine_itemsets

    mine_itemsets(args, job)


if __name__ == "__main__":
    sys.exit(run_job(NAME, options(), main))
