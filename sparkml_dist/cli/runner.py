"""Runs a job: exit status, error line on stderr, metrics to a file and as last line of stdout."""

from __future__ import annotations

import argparse
import contextlib
import logging
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NoReturn

from sparkml_dist.cli.checking import NEEDS_SPARK, SparkNeeded, now_checking
from sparkml_dist.cli.document import MetricsDocument
from sparkml_dist.errors import ConfigurationError, SparkMLDistError
from sparkml_dist.session import get_session, keep_spark_quiet, print_to_stderr

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from sparkml_dist.cli.output import JobOutput
    from sparkml_dist.cli.tracking import JobTracker

__all__ = ["Job", "run_job"]

_logger = logging.getLogger(__name__)

_TRACKING = ("mlflow", "experiment", "register")
_MOST_WARNINGS = 100


class Job:
    """A running job, as its main function sees it.

    Attributes
    ----------
    document : MetricsDocument
        The metrics document, which the main function fills in.
    output : JobOutput or None
        The output folder, where the job has one.
    verbose : bool
        Whether Spark's own log is wanted too.
    """

    def __init__(self, name: str) -> None:
        self.document = MetricsDocument(name)
        self.output: JobOutput | None = None
        self.verbose = False
        self._spark: SparkSession | None = None

    @property
    def spark(self) -> SparkSession:
        """The SparkSession; started on first use, after all checks that need none."""
        if self._spark is None:
            if now_checking() is not None:
                raise SparkNeeded
            with self.stage("start"):
                if not self.verbose:
                    keep_spark_quiet()
                self._spark = _started(f"sparkml_dist {self.document.job}")
        return self._spark

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the seconds of the block to a stage of the metrics document."""
        start = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - start
            self.document.seconds[name] = self.document.seconds.get(name, 0.0) + spent
            _logger.info("%s: %.1f s", name, spent)

    def already_done(self, output: JobOutput) -> bool:
        """Return whether the resumed run is complete; its document then is that of this run too."""
        found = output.outcome()
        if found is None or found.get("job") != self.document.job:
            return False
        _logger.info("the output in %s is complete; it is left as it is", output.home.location)
        self.document.earlier = found
        return True

    def stop(self) -> None:
        """Stop the session, if one was started."""
        if self._spark is not None:
            try:
                self._spark.stop()
            except Exception:  # the session may be broken; the job has ended by now
                _logger.debug("the session did not stop cleanly", exc_info=True)


def _started(name: str) -> SparkSession:
    try:
        return get_session(name)
    except SparkMLDistError:
        raise
    except Exception as error:
        # The second line has Java's exception, after a colon.
        lines = [line.strip(": ") for line in str(error).splitlines() if line.strip(": ")]
        reason = next((line for line in lines if "Exception: " in line), (lines or ["?"])[0])
        raise ConfigurationError(
            "session_not_started",
            f"Spark did not start: {reason[:400]}",
            "Check the master, and the memory and cores in the settings.",
        ) from error


def run_job(
    name: str,
    parser: argparse.ArgumentParser,
    main: Callable[[argparse.Namespace, Job], None],
    argv: Sequence[str] | None = None,
    *,
    writes_folder: bool = True,
) -> int:
    """Run ``main(args, job)`` and return the exit status of the process.

    The metrics document is always printed as the last line of stdout, and written to
    ``--metrics-out`` or else to ``metrics.json`` in the job's output folder
    (``metrics.failed.json`` if this run failed and an earlier one succeeded). The output folder is
    locked against other runs until the end.

    Parameters
    ----------
    name : str
        Name of the job.
    parser : argparse.ArgumentParser
        Parser of the options, which include ``--metrics-out``.
    main : callable
        Runs the job and fills in ``job.document``.
    argv : sequence of str, optional
        Arguments; those of the process by default.
    writes_folder : bool, default=True
        Whether ``--output`` is a folder that gets the metrics by default.

    Returns
    -------
    int
        0 ok, 2 usage, 10 configuration, 11 data, 12 resources, 13 training, 14 input/output,
        1 unexpected. Within `checking`, `NEEDS_SPARK` for a job that passed its checks.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    start = time.perf_counter()
    job = Job(name)
    document = job.document
    document.arguments = argv
    metrics_out, status = None, 0
    tracker: JobTracker | None = None
    try:
        metrics_out, output = _output_arguments(argv)
        if output and writes_folder:
            from sparkml_dist.cli.output import JobOutput
            from sparkml_dist.persistence.filesystem import Folder

            job.output = JobOutput(Folder.at(output), tells_metrics=not metrics_out)
        args = parser.parse_args(argv)
        job.verbose = bool(getattr(args, "verbose", False))
        _log_to_stdout(verbose=job.verbose, warnings=document.warnings)
        check = now_checking()
        if check is not None and check.only_options:
            return NEEDS_SPARK
        with _ended_by_signals():
            if job.output is not None:
                job.output.lock(f"{name}, run {document.run_id}")
            if check is None:
                tracker = _tracker(args, job)
            main(args, job)
            if tracker is not None:
                with job.stage("track"):
                    tracker.succeeded()
        document.status = "ok"
    except SystemExit as wanted:  # --help, --version
        return int(wanted.code or 0)
    except SparkNeeded:
        if job.output is not None:
            job.output.unlock()
        return NEEDS_SPARK
    except BaseException as raised:
        from sparkml_dist.cli.failures import as_toolkit_error

        error = as_toolkit_error(raised)
        _logger.debug("the job failed", exc_info=True)
        trace = traceback.format_exc() if error.code == "unexpected" else None
        document.fail(error, trace)
        status = error.exit_status
        if tracker is not None:
            tracker.failed(error)
        _report(name, error)
    document.seconds["total"] = time.perf_counter() - start
    job.stop()
    try:
        _write(document, job, metrics_out)
    except SparkMLDistError as error:
        if status == 0:
            document.fail(error)
            status = error.exit_status
        _report(name, error)
    finally:
        if job.output is not None:
            job.output.unlock()
    print(document.line(), flush=True)  # noqa: T201 - a job's result is its last line
    return status


def _tracker(args: argparse.Namespace, job: Job) -> JobTracker | None:
    """Return the job's run in MLflow, if one is wanted; what needs MLflow is imported only then."""
    if not any(getattr(args, name, None) is not None for name in _TRACKING):
        return None
    from sparkml_dist.cli.tracking import begin_tracking

    return begin_tracking(args, job.document, job.output)


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Treat SIGTERM like an interruption, so that the job cleans up."""

    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _report(name: str, error: SparkMLDistError) -> None:
    """Print the error in one line on stderr; further lines (a rank's log) go to stdout."""
    first, *rest = error.message.splitlines() or [""]
    for line in rest:
        _logger.info("%s", line)
    one_line = type(error)(error.code, first, " ".join(error.hint.split()))
    print_to_stderr(f"{name}: error: {one_line}")


def _output_arguments(argv: Sequence[str]) -> tuple[str | None, str | None]:
    """Return ``--metrics-out`` and ``--output``, even of an otherwise invalid command line."""
    lenient = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    lenient.add_argument("--metrics-out", nargs="?")
    lenient.add_argument("--output", nargs="?")
    with contextlib.suppress(argparse.ArgumentError, SystemExit):
        found = lenient.parse_known_args(list(argv))[0]
        return found.metrics_out, found.output
    return None, None


def _write(document: MetricsDocument, job: Job, metrics_out: str | None) -> None:
    if metrics_out:
        from sparkml_dist.cli.output import split_location

        folder, name = split_location(metrics_out)
        folder.write_json(name, document.to_dict())
    elif job.output is not None and document.to_dict() is not document.earlier:
        where = job.output.record(document)
        if where is not None and document.status != "ok":
            _logger.info("the metrics of this failed run are in %s", where)


class _Warnings(logging.Handler):
    """Collects the lines that are logged as warnings, up to a number."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        """Collect a line."""
        line = record.getMessage()
        if len(self._lines) < _MOST_WARNINGS and line not in self._lines:
            self._lines.append(line)


def _log_to_stdout(*, verbose: bool, warnings: list[str]) -> None:
    """Log the toolkit's progress on stdout; stderr is for Spark's log and errors.

    Lines of warnings are appended to `warnings` too.
    """
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logger = logging.getLogger("sparkml_dist")
    logger.handlers = [handler, _Warnings(warnings)]
    logger.propagate = False
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)
