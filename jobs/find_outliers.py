"""Find the outliers among the rows of a table."""

from __future__ import annotations

import sys

from sparkml_dist.job.options import JobParser, add_common_options, at_least
from sparkml_dist.job.outliers import OUTLIER_METHODS, find_outliers
from sparkml_dist.job.points import add_point_options
from sparkml_dist.job.runner import run_job

NAME = "find_outliers"


def options() -> JobParser:
    """Return the job's options."""
    parser = JobParser(
        NAME,
        "Score how far rows stand apart from all others, and call the strangest outliers. Writes "
        "rows/ (Parquet: the input, outlierScore and prediction) and model/.",
        [
            "--input readings.parquet --contamination 0.01 --output out",
            "--input mammography.csv --label -1 --method extended-isolation-forest --output out",
        ],
    )
    add_point_options(
        parser, truth="column that tells outliers (its higher value); adds metrics.roc_auc"
    )
    group = parser.add_argument_group("outliers")
    group.add_argument(
        "--method",
        choices=OUTLIER_METHODS,
        default=OUTLIER_METHODS[0],
        help=f"how to find them (default: {OUTLIER_METHODS[0]})",
    )
    group.add_argument(
        "--contamination",
        type=float,
        metavar="F",
        help="share of the rows to call outliers, up to 0.5 (default: scores above 0.5)",
    )
    group.add_argument(
        "--trees", type=at_least(1), metavar="N", help="number of trees (default: 100)"
    )
    group.add_argument(
        "--samples", type=at_least(2), metavar="N", help="rows that a tree sees (default: 256)"
    )
    add_common_options(parser)
    return parser


if __name__ == "__main__":
    sys.exit(run_job(NAME, options(), find_outliers))
