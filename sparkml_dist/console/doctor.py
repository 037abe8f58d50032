"""``sparkml-dist doctor``: looks at a machine or a cluster and says what to mend."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from sparkml_dist.console.findings import Finding, as_json, as_table, bad, status_of
from sparkml_dist.console.printing import CommandParser
from sparkml_dist.console.submit import submit
from sparkml_dist.console.submit_options import split_options

__all__ = ["report_on_cluster", "run"]


def _options() -> CommandParser:
    parser = CommandParser(
        "doctor",
        "Look at this machine: Python, Java, Spark, packages, Horovod's build, memory, disk.\n"
        "With options of spark-submit (--master, --conf, --environment, …): look at every worker\n"
        "of that cluster too, and compare it with the driver.",
        "exit status: 0, or 12 when something is to mend (✗; a · matters to some uses only).\n\n"
        "examples:\n"
        "  sparkml-dist doctor\n"
        "  sparkml-dist doctor --master spark://host:7077 --folder hdfs:///data\n"
        "  sparkml-dist doctor --master yarn --environment env.tar.gz --json\n",
    )
    parser.add_argument(
        "--folder",
        action="append",
        default=[],
        metavar="URI",
        help="a folder that the driver and all workers must share; repeat it for several",
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.add_argument(
        "--wait",
        type=float,
        default=60.0,
        metavar="S",
        help="seconds to wait for the first executor (default: 60)",
    )
    return parser


def run(argv: Sequence[str]) -> int:
    """Run the command.

    Parameters
    ----------
    argv : sequence of str
        Options of the doctor and of spark-submit.
    """
    options, own = split_options(argv)
    try:
        args = _options().parse_args(own)
    except SystemExit as ended:  # --help
        return int(ended.code or 0)
    if options:
        submit(options, Path(__file__).parent / "mains" / "look_at_cluster.py", own)
    from sparkml_dist.console.machine_checks import look_at_machine

    return _print(look_at_machine(args.folder), json=args.json)


def report_on_cluster(argv: Sequence[str]) -> int:
    """Look at this machine and the cluster of the session; the main under spark-submit."""
    from sparkml_dist.console.cluster_checks import look_at_cluster
    from sparkml_dist.console.machine_checks import look_at_machine
    from sparkml_dist.session import get_session, keep_spark_quiet

    args = _options().parse_args(argv)
    found = look_at_machine()
    try:
        keep_spark_quiet()
        spark = get_session("sparkml-dist doctor")
    except Exception as error:  # noqa: BLE001 - whatever Spark raises is the finding
        lines = [line.strip(": ") for line in str(error).splitlines() if line.strip(": ")]
        reason = next((line for line in lines if "Exception: " in line), (lines or ["?"])[0])
        remedy = "Check the master, and the memory and cores in the settings."
        found.append(bad("session", f"Spark did not start: {reason[:400]}", remedy))
        return _print(found, json=args.json)
    found += look_at_cluster(spark, args.folder, wait=args.wait)
    status = _print(found, json=args.json)
    spark.stop()
    return status


def _print(found: list[Finding], *, json: bool) -> int:
    sys.stdout.write(f"{as_json(found) if json else as_table(found)}\n")
    sys.stdout.flush()
    return status_of(found)
