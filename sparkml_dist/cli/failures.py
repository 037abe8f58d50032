"""The toolkit's error for any exception that ends a job."""

from __future__ import annotations

import errno
import re

from sparkml_dist.cluster.task_errors import error_of_task
from sparkml_dist.errors import DataError, ResourceError, SparkMLDistError, StorageError

__all__ = ["as_toolkit_error"]

_TEXT_CODES = (
    (
        ResourceError,
        re.compile(r"java\.lang\.OutOfMemoryError|Java heap space"),
        "jvm_out_of_memory",
        "Spark's Java side ran out of memory.",
        "Raise spark.driver.memory (local mode) or spark.executor.memory.",
    ),
    (
        ResourceError,
        re.compile(r"Python worker exited unexpectedly|ExecutorLostFailure|exit status: 137"),
        "worker_died",
        "A Python worker or an executor died, most likely for lack of memory.",
        "Use more, smaller shards (--memory-per-task), or raise spark.executor.memoryOverhead.",
    ),
    (
        StorageError,
        re.compile(r"No space left on device"),
        "disk_full",
        "A disk is full.",
        "Free some space, or point spark.local.dir and --output elsewhere.",
    ),
)

# Named error conditions of Spark that are caused by the input.
_UNREADABLE = re.compile(
    r"\[(?:FAILED_READ_FILE|CANNOT_READ|MALFORMED|PARQUET|UNABLE_TO_INFER_SCHEMA)[\w.]*\] *([^\n]*)"
    r"|org\.apache\.parquet\.[\w.]*Exception: *([^\n]*)"
)
_UNFIT = re.compile(
    r"\[(?:COLUMN_ALREADY_EXISTS|AMBIGUOUS_REFERENCE|INVALID_COLUMN_NAME|CAST_INVALID_INPUT|"
    r"CAST_OVERFLOW|NUMERIC_VALUE_OUT_OF_RANGE|ARITHMETIC_OVERFLOW|CANNOT_PARSE|"
    r"DATETIME_OVERFLOW|UNSUPPORTED_\w*TYPE|UNSUPPORTED_FEATURE|INCOMPATIBLE_\w*|"
    r"DATATYPE_MISMATCH)[\w.]*\] *([^\n]*)"
)


def as_toolkit_error(error: BaseException) -> SparkMLDistError:
    """Return the toolkit's error to report for `error`.

    Parameters
    ----------
    error : BaseException
        Any exception. Spark passes on a worker's exception as the text of its traceback, in Classic
        and Connect; an error of the toolkit is restored from it.

    Returns
    -------
    SparkMLDistError
        With code ``"unexpected"`` (exit status 1) where no other code fits.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, SparkMLDistError):
            return seen
        seen = seen.__cause__
    if isinstance(error, ConnectionError) or type(error).__name__ == "Py4JNetworkError":
        return ResourceError(
            "session_lost",
            "Spark's Java side ended while the job ran.",
            "Read its log; most likely it was killed for lack of memory.",
        )
    text = str(error)
    if isinstance(error, OSError):
        code = "disk_full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "storage_failed"
        return StorageError(
            code,
            f"{type(error).__name__}: {' '.join(text.split())}.",
            "Check the path, its permissions and the free space.",
        )
    if own := error_of_task(text):
        return own
    for kind, pattern, code, message, hint in _TEXT_CODES:
        if pattern.search(text):
            return kind(code, message, hint)
    if found := _UNREADABLE.search(text):
        reported = found.group(1) or found.group(2) or ""
        cause = re.search(r"^Caused by: [\w.$]+: (.+)$", text, re.MULTILINE)
        reason = f" ({cause.group(1).strip()[:200]})" if cause else ""
        return StorageError(
            "file_not_read",
            f"Spark could not read a file: {reported.partition(' SQLSTATE')[0]}{reason}",
            "Check that it is complete and of the format of its name or --format.",
        )
    if found := _UNFIT.search(text):
        return DataError(
            "input_not_taken",
            f"Spark does not accept the table: {found.group(1).partition(' SQLSTATE')[0]}",
            "Rename, drop or cast the column.",
        )
    if isinstance(error, MemoryError):
        return ResourceError(
            "out_of_memory", "The driver ran out of memory.", "Give it more memory."
        )
    if isinstance(error, KeyboardInterrupt):
        return SparkMLDistError(
            "interrupted", "The job was interrupted.", "Continue with --resume."
        )
    first = next((line for line in text.splitlines() if line.strip()), "")
    return SparkMLDistError(
        "unexpected",
        f"{type(error).__name__}: {first.strip()[:500]}",
        "The traceback is in the metrics, on stdout.",
    )
