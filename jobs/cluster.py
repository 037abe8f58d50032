"""Find the clusters among the rows of a table, by density or around centers."""

from __future__ import annotations

import argparse
import sys

from sparkml_dist.cli.choices import CLUSTER_METHODS, DISTANCE_MEASURES
from sparkml_dist.cli.options import JobParser, add_common_options, at_least, size
from sparkml_dist.cli.point_options import add_point_options
from sparkml_dist.cli.runner import Job, run_job

NAME = "cluster"


def numbers(text: str) -> list[int]:
    """Return ``7`` as [7], and ``2:5`` as [2, 3, 4, 5]."""
    first, _, last = text.partition(":")
    try:
        low, high = int(first), int(last or first)
    except ValueError:
        low, high = 1, 0
    if low < 1 or high < low:
        raise argparse.ArgumentTypeError(f"must be a number >= 1, or a range 2:9. Got {text!r}")
    return list(range(low, high + 1))


def options() -> JobParser:
    """Return the job's options."""
    parser = JobParser(
        NAME,
        "Find clusters as dense areas (DBSCAN, exact), or around centers "
        "(k-means, k-medoids). Writes rows/ (Parquet: the input and prediction, the cluster from "
        "0, or -1 for noise) and model/.",
        [
            "--input positions.parquet --features x y --eps 0.1 --output out",
            "--input points.csv --label -1 --eps 0.5 --min-points 10 --output out",
            "--input points.csv --method kmeans --k 2:10 --output out",
        ],
    )
    add_point_options(
        parser, truth="column of true clusters, not a feature; adds metrics.adjusted_rand"
    )
    group = parser.add_argument_group("clusters")
    group.add_argument(
        "--method",
        choices=CLUSTER_METHODS,
        default="dbscan",
        help="clustering method (default: dbscan)",
    )
    group.add_argument(
        "--eps", type=float, metavar="F", help="radius of a neighbourhood; dbscan needs it"
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
        help="memory of a task's Python worker (default: 512m); dbscan",
    )
    group.add_argument(
        "--k",
        type=numbers,
        metavar="N|A:B",
        help="number of clusters; kmeans also takes a range A:B and keeps the number with "
        "the best silhouette (default: 8)",
    )
    group.add_argument(
        "--distance-measure",
        choices=DISTANCE_MEASURES,
        help="distance of kmedoids (default: euclidean)",
    )
    add_common_options(parser)
    return parser


def main(args: argparse.Namespace, job: Job) -> None:
    """Run the job."""
    from sparkml_dist.cli.clusters import find_clusters

    find_clusters(args, job)


if __name__ == "__main__":
    sys.exit(run_job(NAME, options(), main))
