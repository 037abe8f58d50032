"""Profiles a table, and optionally compares it with another one."""

from __future__ import annotations

import argparse
import dataclasses
from typing import TYPE_CHECKING

from sparkml_dist.cli.options import (
    JobParser,
    add_common_options,
    add_existing_output_options,
    add_reading_options,
    at_least,
    plan_of,
    reading,
)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from sparkml_dist.cli.runner import Job
    from sparkml_dist.mining.profiling.profile import Profile

__all__ = ["options", "profile_table"]

_FILES = ("profile.json", "profile.html", "drift.json", "drift.html")


def options() -> JobParser:
    """Return the job's options."""
    parser = JobParser(
        "profile",
        "Profile a table in one pass: missing and distinct values, moments, quantiles, "
        "frequent values, correlations, columns that may leak the target. Writes profile.html and "
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
    data.add_argument("--compare", metavar="URI", help="an earlier table, the reference for drift")
    data.add_argument("--target", metavar="COL", help="report columns that may leak this one")
    data.add_argument(
        "--top",
        type=at_least(0, below=33),
        default=10,
        metavar="N",
        help="number of frequent values of a column, up to 32 (default: 10)",
    )
    add_reading_options(parser)
    output = parser.add_argument_group("output")
    output.add_argument(
        "--output", required=True, metavar="DIR", help="folder for the pages and metrics.json"
    )
    add_existing_output_options(output)
    add_common_options(parser, model=False)
    return parser


def profile_table(args: argparse.Namespace, job: Job) -> None:
    """Run the job and fill in its metrics document.

    Parameters
    ----------
    args : argparse.Namespace
        See ``jobs/profile.py``.
    job : Job

    Raises
    ------
    StorageError
        ``output_exists``, ``file_not_found``, ``file_not_read``.
    ConfigurationError, DataError
        As raised by `read_table` and `profile`.
    """
    from sparkml_dist.mining.profiling.drift import drift
    from sparkml_dist.mining.profiling.profile import profile

    assert job.output is not None
    output = job.output
    output.overwrite, output.resume = args.overwrite, args.resume
    plan = plan_of(args)
    if output.check(plan) and job.already_done(output):
        return
    with job.stage("read"):
        table = _read(args, job, args.input)
        other = None if args.compare is None else _read(args, job, args.compare)
    with job.stage("profile"):
        # Drift compares the 32 most frequent values.
        found = profile(table, target=args.target, top=32, seed=args.seed)
    peak = found.summary["peak_worker_rss"]
    report = None
    if other is not None:
        with job.stage("compare"):
            report = drift(other, found)
        peak = max(peak, report.reference.summary["peak_worker_rss"])
    output.claim(plan)
    folder, document = output.folder, job.document
    shown = _with_top(found, args.top)
    with job.stage("write"):
        for name in _FILES:
            folder.delete_file(name)
        folder.write_json("profile.json", shown.to_dict())
        shown.to_html(folder.uri("profile.html"))
        if report is not None:
            folder.write_json("drift.json", report.to_dict())
            report.to_html(folder.uri("drift.html"))
    document.rows = found.rows
    document.peak_worker_rss_mb = round(peak / 2**20, 1)
    document.more["columns"] = len(found.columns)
    document.more["alerts"] = sum(len(c["alerts"]) for c in found.columns)
    if report is not None:
        document.more["drifted"] = [c["name"] for c in report.columns if c["level"] != "none"]
    written = _FILES if report is not None else _FILES[:2]
    document.more["output"] = {name: output.place(name) for name in written}
    output.commit(document)


def _with_top(found: Profile, top: int) -> Profile:
    columns = [
        c | {"frequent": c["frequent"][:top]} if "frequent" in c else c for c in found.columns
    ]
    return dataclasses.replace(found, columns=columns)


def _read(args: argparse.Namespace, job: Job, uri: str) -> DataFrame:
    from sparkml_dist.dataset.parquet import read_parquet
    from sparkml_dist.tables.lines import format_of, input_errors
    from sparkml_dist.tables.read import read_table

    if format_of(uri, args.format) == "parquet":
        with input_errors(uri):  # any column types, and duplicate names
            return read_parquet(job.spark, uri)
    return read_table(job.spark, uri, without_roles=True, **reading(args)).df
