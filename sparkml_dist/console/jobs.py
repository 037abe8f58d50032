"""The jobs as commands: checked without Java, then run by spark-submit.

The jobs are the files of the folder ``jobs``, which the wheel carries inside the package. A job's
own main function runs first up to the place where it asks for Spark: what it refuses until then,
it refuses before a JVM starts, with the same error, exit status and metrics.
"""

from __future__ import annotations

import runpy
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import sparkml_dist
from sparkml_dist.console.submit import find_spark_submit, submit, submit_line
from sparkml_dist.console.submit_options import split_options, value_of
from sparkml_dist.errors import ConfigurationError

__all__ = ["job_file", "run_job_command"]

_HELP = """
options of spark-submit are taken too, wherever they stand (--master, --conf, --archives,
--driver-memory, --executor-memory, --executor-cores, --num-executors, --properties-file, …).
Everything before a "--" is for spark-submit. Two options more:
  --environment FILE    an archive of sparkml-dist pack, which the executors unpack and use
  --dry-run             check the options, print the line of spark-submit on stdout, and end
"""


def job_file(command: str) -> Path:
    """Return the file of a job that spark-submit runs.

    Parameters
    ----------
    command : str
        Such as ``train-ensemble``.

    Raises
    ------
    ConfigurationError
        ``job_not_found`` when the package was copied without its jobs.
    """
    package = Path(sparkml_dist.__file__).parent
    name = f"{command.replace('-', '_')}.py"
    for folder in (package / "jobs", package.parent / "jobs"):
        if (folder / name).is_file():
            return folder / name
    raise ConfigurationError(
        "job_not_found",
        f"The file {name} of the job does not lie in {package / 'jobs'}.",
        "Install the package again, from its wheel.",
    )


def run_job_command(command: str, argv: Sequence[str]) -> int:
    """Check the options of a job without Java, then run it with spark-submit.

    Returns only where the job did not need Spark: after an error, ``--help``, ``--dry-run``, or
    when nothing is to do.

    Parameters
    ----------
    command : str
        Name of the command.
    argv : sequence of str
        Options of the job and of spark-submit.

    Raises
    ------
    UsageError, ConfigurationError
        As raised by `split_options` and `submit`.
    """
    file = job_file(command)
    dry = "--dry-run" in argv
    options, arguments = split_options([a for a in argv if a != "--dry-run"])
    status = _checked(file, arguments, elsewhere=value_of(options, "--deploy-mode") == "cluster")
    if status is not None:
        if status == 0 and not {"-h", "--help"}.isdisjoint(arguments):
            sys.stdout.write(_HELP)
        return status
    if not dry:
        submit(options, file, arguments)
    line = submit_line(find_spark_submit(), options, file, arguments)
    sys.stdout.write(f"{shlex.join(line)}\n")
    return 0


def _checked(file: Path, arguments: Sequence[str], *, elsewhere: bool) -> int | None:
    """Run a job until it needs Spark; return its exit status where it ended before that.

    Parameters
    ----------
    file : Path
        The job's main.
    arguments : sequence of str
        Its options.
    elsewhere : bool
        Whether the driver will be on another machine, so that only the options can be checked.
    """
    from sparkml_dist.cli.checking import NEEDS_SPARK, checking

    before = sys.argv
    sys.argv = [str(file), *arguments]
    try:
        with checking(only_options=elsewhere):
            runpy.run_path(str(file), run_name="__main__")
    except SystemExit as ended:
        status = ended.code
        return None if status == NEEDS_SPARK else int(status or 0)
    finally:
        sys.argv = before
    return 0
