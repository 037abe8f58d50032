"""Profiles a table, and compares it to another one if asked for."""

from __future__ import annotations

import argparse
import dataclasses
from typing import TYPE_CHECKING, ClassVar

from sparkml_dist.dataset.table_lines import format_of, input_errors
from sparkml_dist.dataset.tables import read_table
from sparkml_dist.job.output import JobOutput
from sparkml_dist.job.runner import Job
from sparkml_dist.mining.profiling.drift import drift
from sparkml_dist.mining.profiling.profile import Profile, profile

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["profile_table"]

_FILES = ("profile.json", "profile.html", "drift.json", "drift.html")


class _Output(JobOutput):
    """The output folder: the profile, the drift and ``metrics.json``."""

    _ROOMS: ClassVar[tuple[str, ...]] = ()


def profile_table(args: argparse.Namespace, job: Job) -> None:
    """Do the work of the job and fill in its metrics document.

    Parameters
    ----------
    args : argparse.Namespace
        See ``jobs/profile.py``.
    job : Job

    Raises
    ------
    StorageError
        ``output_exists``, ``input_not_found``, ``input_not_read``.
    ConfigurationError, DataError
        What `read_table` and `profile` raise.
    """
    assert job.output is not None
    output = job.output = _Output(job.output.folder, overwrite=args.overwrite)
    plan = {"input": args.input, "compare": args.compare}
    output.check(plan)
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
    document.more["remarks"] = sum(len(c["remarks"]) for c in found.columns)
    if report is not None:
        document.more["drifted"] = [c["name"] for c in report.columns if c["level"] != "none"]
    written = _FILES if report is not None else _FILES[:2]
    document.more["output"] = {name: folder.uri(name) for name in written}


def _with_top(found: Profile, top: int) -> Profile:
    columns = [
        c | {"frequent": c["frequent"][:top]} if "frequent" in c else c for c in found.columns
    ]
    return dataclasses.replace(found, columns=columns)


def _read(args: argparse.Namespace, job: Job, uri: str) -> DataFrame:
    if format_of(uri, args.format) == "parquet":
        with input_errors(uri):  # any types and names, also twice
            df = job.spark.read.parquet(uri)
            _ = df.schema  # under Connect, this is where the file is looked for
            return df
    return read_table(
        job.spark,
        uri,
        format=args.format,
        header=args.header,
        delimiter=args.delimiter,
        label=0,  # no column has a role here; one must be named
    ).df
