"""Find the clusters among the rows of a table, by density."""

from __future__ import annotations

import sys

from sparkml_dist.job.clusters import find_clusters
from sparkml_dist.job.options import JobParser, add_common_options, at_least, size
from sparkml_dist.job.points import add_point_options
from sparkml_dist.job.runner import run_job

NAME = "cluster"


def options() -> JobParser:
    """Return the job's options."""
    parser = JobParser(
        NAME,
        "Find clusters as areas where rows lie densely (DBSCAN, exact). Writes rows/ (Parquet: "
        "the input and prediction, the cluster from 0, or -1 for noise) and model/.",
        [
            "--input positions.parquet --features x y --eps 0.1 --output out",
            "--input points.csv --label -1 --eps 0.5 --min-points 10 --output out",
        ],
    )
    add_point_options(
        parser, truth="column of true clusters, no feature; adds metrics.adjusted_rand"
    )
    group = parser.add_argument_group("clusters")
    group.add_argument(
        "--eps", type=float, required=True, metavar="F", help="radius of a neighbourhood"
    )
    group.add_argument(
        "--min-points",
        type=at_least(1),
        metavar="N",
        help="rows within the radius of a core row, itself included (default: 5)",
    )
    group.add_argument(
        "--memory-per-task",
        type=size,
        metavar="SIZE",
        help="memory of a task's Python worker (default: 512m)",
    )
    add_common_options(parser, seed=False)
    return parser


if __name__ == "__main__":
    sys.exit(run_job(NAME, options(), find_clusters))
