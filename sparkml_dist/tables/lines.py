"""Formats of files, their first lines, and errors of reading them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from sparkml_dist.errors import ConfigurationError, DataError, StorageError, nearest
from sparkml_dist.persistence.parquet import CONNECTOR_HINT, MISSING_CONNECTOR
from sparkml_dist.tables.encoding import decoded, lines
from sparkml_dist.tables.formats import FORMATS, TEXT_FORMATS

if TYPE_CHECKING:
    from pyspark.sql import Row, SparkSession

__all__ = [
    "FORMATS",
    "PACKED",
    "TEXT_FORMATS",
    "first_lines",
    "format_of",
    "input_errors",
    "read_lines",
    "text_of",
]

_SUFFIXES = {
    ".parquet": "parquet",
    ".parq": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".data": "csv",
    ".txt": "csv",
    ".dat": "csv",
    ".test": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".svm": "libsvm",
    ".libsvm": "libsvm",
    ".svmlight": "libsvm",
}
#: Suffixes of compressed files.
PACKED = (".gz", ".bz2", ".zst", ".snappy", ".lz4", ".deflate")
_UNREADABLE = {
    r"Permission denied|AccessDenied|Forbidden": "permission denied",
    r"No FileSystem for scheme|UnsupportedFileSystem": "Spark has no file system of that kind",
    r"incorrect header check|[Nn]ot (in|a) (GZIP|gzip)|Unexpected end of|BZip2|EOFException": (
        "a compressed file that is damaged or has the wrong suffix"
    ),
    r"FAILED_READ_FILE": "Spark cannot read one of its files",
}


def format_of(uri: str, format: str | None = None) -> str:
    """Return the format of a file or folder, from its name unless `format` is given.

    Parameters
    ----------
    uri : str
        Path or URI; a compression suffix such as ``.gz`` is ignored.
    format : {"parquet", "csv", "tsv", "libsvm"}, optional
        Overrides the name.

    Returns
    -------
    str
        One of `FORMATS`; ``"parquet"`` for a name without a suffix (a folder of part files).

    Raises
    ------
    ConfigurationError
        ``unknown_format`` when neither tells, ``invalid_param`` when it is none of them.
    """
    if format is not None:
        if format not in FORMATS:
            raise ConfigurationError(
                "invalid_param",
                f"format must be one of {', '.join(FORMATS)}. Got {format!r}."
                f"{nearest(format, FORMATS)}",
            )
        return format
    path = PurePosixPath(uri.lower())
    if "*" in path.name and not path.suffix:
        path = path.parent  # letters.csv/part-*
    suffixes = path.suffixes
    if suffixes and suffixes[-1] in PACKED:
        suffixes.pop()
    if not suffixes:
        return "parquet"
    if suffixes[-1] in _SUFFIXES:
        return _SUFFIXES[suffixes[-1]]
    raise ConfigurationError(
        "unknown_format",
        f"The name {uri!r} does not show the format of the data.",
        f"Set format (--format) to one of {', '.join(FORMATS)}.",
    )


def first_lines(
    spark: SparkSession, uri: str, count: int, encoding: str | None = None
) -> list[str]:
    """Return up to `count` first lines of a file of `uri`, without a byte-order mark.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    uri : str
    count : int
    encoding : str or None
        The value of `check_encoding`.

    Raises
    ------
    StorageError
        ``file_not_found``, ``file_not_read``.
    DataError
        ``empty_data`` when no file holds a line, ``wrong_format``.
    """
    return text_of(read_lines(spark, uri, count, encoding), uri, encoding)


def read_lines(spark: SparkSession, uri: str, count: int, encoding: str | None = None) -> list[Row]:
    """Return up to `count` first lines with their files; parameters and errors as `first_lines`.

    Returns
    -------
    list of Row
        ``value`` as bytes, ``file``.
    """
    with input_errors(uri):
        return (
            lines(spark, uri, encoding)
            .selectExpr("cast(value as binary) as value", "file")
            .limit(count)
            .collect()
        )


def text_of(found: Sequence[Row], uri: str, encoding: str | None = None) -> list[str]:
    """Return the text of the lines of one file among those that `read_lines` returned.

    Raises
    ------
    DataError
        As `first_lines`.
    """
    # A partition may hold several small files, each perhaps with a header.
    by_file: dict[str, list[str]] = {}
    for row in found:
        by_file.setdefault(row["file"], []).append(decoded(row["value"] or b"", encoding))
    # In the order of names: that of files of one size depends on the file system.
    text = max((by_file[name] for name in sorted(by_file)), key=len, default=[""])
    text[0] = text[0].removeprefix("\ufeff")
    if not any(line.strip() for line in text):
        raise DataError("empty_data", f"{uri!r} has no rows.", "Check the path.")
    if any("\0" in line for line in text) or text[0].startswith("PAR1"):
        raise DataError(
            "wrong_format",
            f"{uri!r} is not a text file, or not in UTF-8.",
            "Set its format (--format), or its encoding, such as UTF-16, with encoding "
            "(--encoding).",
        )
    return text


@contextmanager
def input_errors(uri: str) -> Iterator[None]:
    """Convert Spark's errors about a missing or unreadable input `uri` to this library's.

    Raises
    ------
    StorageError
        ``file_not_found``, ``file_not_read``, ``connector_missing``.
    DataError
        ``empty_data`` for a folder without data files, ``wrong_format``, ``duplicate_columns``.
    """
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JError) as error:
        text = str(error)
        if re.search(r"PATH_NOT_FOUND|Path does not exist|FILE_NOT_EXIST|FileNotFound", text):
            raise StorageError(
                "file_not_found",
                f"There is no file or folder {uri!r}.",
                "Check the path, and that the driver and all workers share this file system.",
            ) from error
        if re.search(MISSING_CONNECTOR, text):
            raise StorageError(
                "connector_missing", f"Spark has no connector to read {uri!r}.", CONNECTOR_HINT
            ) from error
        if re.search(r"UNABLE_TO_INFER_SCHEMA|Unable to infer schema", text):
            raise DataError(
                "empty_data", f"{uri!r} has no data files.", "Check the path and the format."
            ) from error
        if re.search(r"is not a Parquet file|CANNOT_READ_FILE_FOOTER", text):
            raise DataError(
                "wrong_format",
                f"{uri!r} is not Parquet.",
                f"Set format (--format) to one of {', '.join(FORMATS)}.",
            ) from error
        # Spark reports a duplicate name with a backtick as another error.
        if re.search(r"COLUMN_ALREADY_EXISTS|INVALID_ATTRIBUTE_NAME_SYNTAX", text):
            reason = " ".join(text.splitlines()[0].split())
            raise DataError(
                "duplicate_columns",
                f"{uri!r} has duplicate column names: {reason}",
                "Rename them; Spark ignores upper and lower case.",
            ) from error
        for pattern, reason in _UNREADABLE.items():
            if re.search(pattern, text):
                raise StorageError(
                    "file_not_read", f"Cannot read {uri!r}: {reason}.", "Check path and rights."
                ) from error
        raise
