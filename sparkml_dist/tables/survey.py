"""Finds out how each file of a text table is written, in one pass over the lines."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import unquote

from sparkml_dist.dataset.many_columns import literal
from sparkml_dist.errors import DataError
from sparkml_dist.tables.encoding import decoded, lines, literal_path
from sparkml_dist.tables.lines import input_errors
from sparkml_dist.tables.quotes import (
    DOUBLED,
    ESCAPED,
    blank_before_quote,
    closing,
    opening,
    whole,
)
from sparkml_dist.tables.sniff import BLANKS, COMMENT, Dialect, is_number, split_lines

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row, SparkSession

__all__ = ["Part", "survey"]

_logger = logging.getLogger(__name__)

_FIT = {"fit": "fits", "unfit": "NOT fits"}


@dataclass(frozen=True)
class Part:
    """Files of a table that are written in the same way.

    Attributes
    ----------
    columns : tuple of int
        The table's column of each field of a row.
    header : bool
        Whether each file begins with a line of names.
    escape : str
        The character before a quote within quotes: a quote or a backslash.
    valid : bool
        Whether all bytes are valid in the table's encoding.
    blanks : bool
        Whether there are blanks before opening quotes.
    multiline : bool
        Whether quoted values continue over several lines.
    """

    columns: tuple[int, ...]
    header: bool
    escape: str = '"'
    valid: bool = True
    blanks: bool = False
    multiline: bool = False


def survey(
    spark: SparkSession,
    uri: str,
    dialect: Dialect,
    encoding: str | None,
    *,
    comment_given: bool,
    pattern: str | None = None,
) -> tuple[dict[Part, list[str]], bool, bool]:
    """Inspect every line of a text table once, on the workers.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    uri : str
    dialect : Dialect
        Inferred from the first lines of one file.
    encoding : str or None
        The declared encoding.
    comment_given : bool
        Whether the user gave the comment character.
    pattern : str, optional
        Pattern that rows are expected to match.

    Returns
    -------
    parts : dict of Part to list of str
        The files, grouped by how they are written. Empty files are left out.
    repeated : bool
        Whether the line of names occurs among the rows too, as in concatenated files.
    fit : bool
        Whether there are rows, and each is one line that matches `pattern`.

    Raises
    ------
    DataError
        ``headers_differ``, ``comments_among_rows``.
    """
    with input_errors(uri):
        found = _count_evidence(lines(spark, uri, encoding), dialect, pattern).collect()
        first = _first_lines(spark, [r for r in found if not r["named"]], dialect, encoding)
    parts: dict[Part, list[str]] = {}
    heads = 0
    for row in sorted(found, key=lambda r: str(r["file"])):
        if row["begin"] is None:
            continue
        file = unquote(row["file"])
        if row["stray"] and dialect.comment and not comment_given:
            raise DataError(
                "comments_among_rows",
                f"{file!r} begins with a comment, but further lines beginning with "
                f"{dialect.comment!r} are among its rows ({row['stray']:,} in all).",
                f"Set comment={COMMENT!r} (--comment '{COMMENT}') if they are comments, or "
                "comment='' (--comment '') to read them as rows.",
            )
        columns: tuple[int, ...] | None = tuple(range(dialect.width))
        if not row["named"]:
            columns = _order(first.get(row["file"], ""), dialect, file)
        heads += row["named"]
        parts.setdefault(
            Part(
                columns=columns or tuple(range(dialect.width)),
                header=dialect.header is not None and columns is not None,
                escape="\\" if row["escaped"] > row["doubled"] else '"',
                valid=not row["invalid"],
                blanks=row["blanks"] > 0,
                multiline=row["opened"] > 0 and row["closed"] > 0,
            ),
            [],
        ).append(file)
    repeats = sum(row["same"] for row in found) - heads
    if repeats > 0:
        _logger.warning("%s: the header line occurs %d more times among the rows", uri, repeats)
    fit = any(row["fit"] for row in found) and not (repeats > 0 or any(r["unfit"] for r in found))
    usual = Part(tuple(range(dialect.width)), header=False)
    fit &= all(replace(p, header=False, valid=True) == usual for p in parts)
    return parts, repeats > 0, fit


def _count_evidence(rows: DataFrame, dialect: Dialect, pattern: str | None) -> DataFrame:
    """Count, for each file, lines that show how it is written.

    Only numbers are aggregated: Spark would sort the lines to find the least of texts.
    """
    from pyspark.sql import functions as F

    head = "false"
    if dialect.header is not None:
        head = f"bare = {literal(dialect.first_line.strip(' '))}"
    hashed = f"startswith(value, {literal(dialect.comment)})" if dialect.comment else "false"
    lines_ = rows.selectExpr(
        "file",
        "start",
        "value",
        "monotonically_increasing_id() AS at",
        f"{hashed} AS hashed",
        "trim(value) AS bare",
        f"{f'value RLIKE {literal(pattern)}' if pattern else 'false'} AS fits",
    )
    flags = {"escaped": "false", "doubled": "false", "blanks": "false"}
    flags |= {"opened": "false", "closed": "false"}
    if dialect.delimiter != BLANKS:
        lines_, flags = _with_quotes(lines_, dialect.delimiter)
    is_row = "NOT hashed AND bare != ''"
    flags |= {"invalid": "NOT is_valid_utf8(value)", "same": head}
    flags |= {x: f"{y} AND {is_row} AND NOT {head}" for x, y in _FIT.items()}
    flagged = lines_.selectExpr(
        "file",
        *[f"{flag} AS {name}" for name, flag in flags.items()],
        # The first block of a file is read by one task, in order.
        f"CASE WHEN start = 0 AND {is_row} THEN at END AS row_at",
        "CASE WHEN hashed THEN IF(start = 0, at, 1L << 62) END AS hash_at",
    )
    return (
        flagged.groupBy("file")
        .agg(
            *[F.expr(f"count_if({name}) AS {name}") for name in flags],
            F.expr("min(row_at) AS begin"),
            F.expr("min(CASE WHEN same THEN row_at END) AS head_at"),
            F.expr("max(hash_at) AS last"),
            F.expr("count(hash_at) AS n_hashed"),
        )
        .selectExpr(
            "*",
            "coalesce(head_at = begin, false) AS named",
            "IF(last > begin, n_hashed, 0) AS stray",
        )
    )


def _with_quotes(rows: DataFrame, delimiter: str) -> tuple[DataFrame, dict[str, str]]:
    """Add columns about the quotes of each line; return SQL for the counts of `_count_evidence`."""

    def matches(pattern: str) -> str:
        return f"value RLIKE {literal(pattern)}"

    rows = (
        rows.selectExpr("*", """contains(value, '"') AS quoted""")
        .selectExpr(
            "*",
            f"CASE WHEN quoted THEN fits OR {matches(whole(DOUBLED, delimiter))} END AS d",
            """quoted AND contains(value, '\\\\"') AS back""",
            """quoted AND contains(value, '""') AS two""",
        )
        .selectExpr(
            "*",
            f"CASE WHEN back OR (d AND two) THEN {matches(whole(ESCAPED, delimiter))} "
            "ELSE d END AS s",
        )
    )
    within = f"CASE WHEN NOT d AND NOT s THEN {matches(opening(DOUBLED, delimiter))} END"
    beyond = f"CASE WHEN back AND NOT d AND NOT s THEN {matches(opening(ESCAPED, delimiter))} END"
    tight = matches(whole(DOUBLED, delimiter, blanks=""))
    rows = rows.selectExpr("*", f"{within} AS o", f"{beyond} AS p")
    return rows, {
        "escaped": "NOT d AND (s AND back OR p AND NOT o)",
        "doubled": "d AND NOT s",
        "blanks": "CASE WHEN quoted AND NOT fits AND (d OR s) THEN "
        f"{matches(blank_before_quote(delimiter))} AND NOT {tight} END",
        "opened": "o OR coalesce(p, false)",
        # The last line of a multi-line value has an odd number of quotes, and never fits.
        "closed": f"CASE WHEN quoted AND NOT fits THEN {matches(closing(delimiter))} END",
    }


def _first_lines(
    spark: SparkSession, files: Sequence[Row], dialect: Dialect, encoding: str | None
) -> dict[str, str]:
    """Return the first row or header line of each of the files."""
    if dialect.header is None or not files:
        return {}
    from pyspark.sql import functions as F

    paths = [literal_path(unquote(row["file"])) for row in files if row["begin"] is not None]
    if not paths:
        return {}
    rows = lines(spark, paths, encoding).where("start = 0").where(r"value RLIKE r'[^\x00-\x20]'")
    if dialect.comment:
        rows = rows.where(f"NOT startswith(value, {literal(dialect.comment)})")
    found = (
        rows.select("file", F.col("value").cast("binary").alias("value"))
        .withColumn("at", F.monotonically_increasing_id())
        .groupBy("file")
        .agg(F.min_by("value", "at").alias("value"))
        .collect()
    )
    return {row["file"]: decoded(row["value"], encoding) for row in found}


def _order(first: str, dialect: Dialect, file: str) -> tuple[int, ...] | None:
    """Return the columns of a file's fields by its first line; None when it is not a header.

    Raises
    ------
    DataError
        ``headers_differ`` when it has other names.
    """
    if dialect.header is None:
        return None
    rows = split_lines([first.removeprefix("\ufeff")], dialect.delimiter)
    fields = tuple(rows[0]) if rows else ()
    if fields == dialect.header:
        return tuple(range(dialect.width))
    if sorted(fields) == sorted(dialect.header) and len({*fields}) == len(fields):
        return tuple(dialect.header.index(name) for name in fields)
    shared = {*fields} & {*filter(None, dialect.header)}
    if not shared and any(map(is_number, fields)):
        return None  # a row: not every file has a header
    raise DataError(
        "headers_differ",
        f"{file!r} has other columns than the other files: "
        + "; ".join(
            f"{what} {', '.join(map(repr, names[:5]))}"
            for what, names in (
                ("it lacks", [n for n in dialect.header if n not in fields]),
                ("it has", [n for n in fields if n not in dialect.header]),
            )
            if names
        )
        + ".",
        "Give all files of a table the same columns, in any order.",
    )
