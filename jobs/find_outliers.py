"""Find the outliers among the rows of a table."""

from __future__ import annotations

import argparse
import sys

from sparkml_dist.cli.choices import OUTLIER_METHODS
from sparkml_dist.cli.options import JobParser, add_common_options, at_least, share_or_count, size
from sparkml_dist.cli.point_options import add_point_options
from sparkml_dist.cli.runner import Job, run_job

NAME = "find_outliers"


def options() -> JobParser:
    """Return the job's options."""
    parser = JobParser(
        NAME,
        "Compute an outlier score for each row, and label the highest as outliers. Writes "
        "rows/ (Parquet: the input, outlierScore and prediction; robust-z adds outlierColumn, the "
        "feature with the largest z-score) and model/.",
        [
            "--input readings.parquet --contamination 0.01 --output out",
            "--train mammography.csv --label -1 --method lof --neighbors 50 --output out",
            "--input payments.csv --label fraud --outlier-label yes --method robust-z --output out",
        ],
    )
    add_point_options(
        parser,
        truth="ground-truth column, not a feature (a name, or an index from 0; -1 is the "
        "last); adds metrics.roc_auc",
        categorical=True,
    )
    group = parser.add_argument_group("outliers")
    group.add_argument(
        "--method",
        choices=OUTLIER_METHODS,
        default=OUTLIER_METHODS[0],
        metavar="METHOD",
        help=f"one of {', '.join(OUTLIER_METHODS)} (default: {OUTLIER_METHODS[0]})",
    )
    group.add_argument(
        "--contamination",
        type=float,
        metavar="F",
        help="share of the rows to label as outliers, up to 0.5 (default: by the method's "
        "threshold on scores: 0.5 for forests, 1.5 for lof, 3.5 for robust-z)",
    )
    group.add_argument(
        "--outlier-label",
        metavar="VALUE",
        help="value of outliers in --label (default: the rarer of two)",
    )
    group.add_argument(
        "--members", type=at_least(1), metavar="N", help="trees of a forest (default: 100)"
    )
    group.add_argument(
        "--max-samples",
        type=share_or_count,
        metavar="F|N",
        help="rows of a tree, as a share (0.5) or a count (default: 256)",
    )
    group.add_argument(
        "--neighbors",
        type=at_least(1),
        metavar="N",
        help="neighbours that lof compares a row with (default: 20)",
    )
    group.add_argument(
        "--memory-per-task",
        type=size,
        metavar="SIZE",
        help="memory of a task's Python worker, for lof (default: 512m)",
    )
    add_common_options(parser)
    return parser


def main(args: argparse.Namespace, job: Job) -> None:
    """Run the job."""
    from sparkml_dist.cli.outliers import find_outliers

    find_outliers(args, job)


if __name__ == "__main__":
    sys.exit(run_job(NAME, options(), main))
