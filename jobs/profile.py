"""Profile a table, and compare it to another one, into pages and JSON."""

from __future__ import annotations

import sys
from pathlib import Path

# Run as a script, this file's folder comes first on the path, where this very name would hide
# the standard library's `profile`, which cProfile imports.
sys.path[:] = [p for p in sys.path if Path(p or ".").resolve() != Path(__file__).resolve().parent]

from sparkml_dist.job.options import (  # noqa: E402
    JobParser,
    add_common_options,
    add_reading_options,
    at_least,
)
from sparkml_dist.job.profiling import profile_table  # noqa: E402
from sparkml_dist.job.runner import run_job  # noqa: E402

NAME = "profile"


def options() -> JobParser:
    """Return the job's options."""
    parser = JobParser(
        NAME,
        "Tell what a table holds in one pass: missing and distinct values, moments, quantiles, "
        "frequent values, correlations, columns that leak the target. Writes profile.html and "
        "profile.json and, with --compare, drift.html and drift.json.",
        [
            "--input sales.parquet --output out",
            "--input today.csv --compare last_month.csv --target churned --output out",
        ],
    )
    data = parser.add_argument_group("data")
    data.add_argument(
        "--input", required=True, metavar="URI", help="the table: a file, folder or pattern"
    )
    data.add_argument(
        "--compare", metavar="URI", help="an earlier table, the reference that drift is told from"
    )
    data.add_argument(
        "--target", metavar="COL", help="point out columns that tell this one on their own"
    )
    data.add_argument(
        "--top",
        type=at_least(0, below=33),
        default=10,
        metavar="N",
        help="frequent values to tell of a column, up to 32 (default: 10)",
    )
    add_reading_options(parser)
    output = parser.add_argument_group("output")
    output.add_argument(
        "--output", required=True, metavar="DIR", help="folder for the pages and metrics.json"
    )
    output.add_argument("--overwrite", action="store_true", help="replace an earlier output")
    add_common_options(parser)
    return parser


if __name__ == "__main__":
    sys.exit(run_job(NAME, options(), profile_table))
