"""Small, plain text tables: the driver finds out by itself what Spark jobs find out of others."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from sparkml_dist.session import planned_bytes
from sparkml_dist.tables.encoding import lines
from sparkml_dist.tables.lines import PACKED, input_errors
from sparkml_dist.tables.schema import MISSING_VALUES
from sparkml_dist.tables.shape import END, PLAIN
from sparkml_dist.tables.sniff import BLANKS, Dialect
from sparkml_dist.tables.survey import Part
from sparkml_dist.tables.text import COMMA, LONG, NAMED, NUMBER, WHOLE, ColumnFacts

if TYPE_CHECKING:
    from pyspark.sql import Row, SparkSession

__all__ = ["SMALL", "PlainTable", "lines_to_read", "plain_table"]

#: Most bytes of a text table whose lines the driver receives.
SMALL = 1 << 20

# Columns of `lines`.
_OF_LINES = 3
_BLANKS = " \t\r\n\u00a0"
_DIGITS = 1 << 63


@dataclass(frozen=True)
class PlainTable:
    """All lines of a text file in which every row is one line without quotes.

    Attributes
    ----------
    parts : dict of Part to list of str
        The file, as `survey` describes it.
    rows : list of list of str
        The fields of each row.
    """

    parts: dict[Part, list[str]]
    rows: list[list[str]]

    def facts(
        self,
        names: Sequence[str],
        missing: Sequence[str],
        label: str,
        known: Mapping[str, ColumnFacts],
    ) -> list[ColumnFacts]:
        """Count the kinds of all values; the same as `TextTable.facts`, without a Spark job."""
        return [
            known[name]
            if name in known
            else _counted([row[i] for row in self.rows], missing, is_label=name == label)
            for i, name in enumerate(names)
        ]


def lines_to_read(spark: SparkSession, uri: str, encoding: str | None, first: int) -> int:
    """Return how many lines of a text table the driver reads: all of a small one, else `first`.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    uri : str
    encoding : str or None
        The value of `check_encoding`.
    first : int
        Number of lines that are enough to recognise how the table is written.

    Returns
    -------
    int
        More than there are lines where the table is one file of at most `SMALL` bytes, which is
        not compressed. Under Connect, which does not report sizes, `first`.
    """
    if encoding is not None:
        return first
    with input_errors(uri):
        df = lines(spark, uri)
        if len(df.columns) > _OF_LINES:  # folder names are columns
            return first
        size = planned_bytes(df)
        if size is None or size > SMALL:
            return first
        files = df.inputFiles()
    return SMALL if len(files) == 1 and not files[0].lower().endswith(PACKED) else first


def plain_table(found: Sequence[Row], dialect: Dialect, pattern: str | None) -> PlainTable | None:
    """Return the table that the lines of a file are, if it is so plain that no doubt remains.

    Parameters
    ----------
    found : sequence of Row
        All lines: ``value`` as bytes, ``file``.
    dialect : Dialect
    pattern : str or None
        Pattern that each row must match.

    Returns
    -------
    PlainTable or None
        None where `survey` may find something else than that the lines are those of one file with
        the expected header, without comments and quotes, in UTF-8, and fit the pattern.
    """
    files = {row["file"] for row in found}
    if pattern is None or len(files) != 1 or dialect.delimiter == BLANKS or dialect.comment:
        return None
    try:
        text = [bytes(row["value"] or b"").decode() for row in found]
    except UnicodeDecodeError:
        return None
    text = [line for line in text if line.strip(" ")]
    if any('"' in line or not line.strip() for line in text) or not text:
        return None
    if dialect.header is not None:
        head, *text = text
        first = dialect.first_line.strip(" ")
        if head.strip(" ") != first or any(line.strip(" ") == first for line in text):
            return None
    fits = re.compile(pattern).match
    if not text or not all(map(fits, text)):
        return None
    (file,) = files
    part = Part(tuple(range(dialect.width)), header=dialect.header is not None)
    return PlainTable({part: [unquote(file)]}, [line.split(dialect.delimiter) for line in text])


def _counted(values: Sequence[str], missing: Sequence[str], *, is_label: bool) -> ColumnFacts:
    """Count the kinds of a column's values; the conditions are those of `text`."""
    plain_, number_, comma_, whole_, long_ = (
        re.compile(pattern.replace(r"\z", r"\Z"), re.ASCII).match
        for pattern in (f"^{PLAIN}{END}", NUMBER, COMMA, WHOLE, LONG)
    )
    gone, marks = {"", *missing}, {*MISSING_VALUES}
    present = not_number = not_comma = not_boolean = not_whole = long = odd = 0
    for field in filter(None, values):
        plain = field < ":" and plain_(field) is not None
        value = field.strip(" ") if plain else field.strip(_BLANKS)
        if is_label and long_(value):
            long += 1
        if value in gone or (not plain and value in marks):
            odd += 1
            continue
        low = value.lower()
        number = plain or (value < ":" and number_(value) is not None) or low in NAMED
        present += 1
        odd += not plain
        not_number += not number
        if "," in value:
            not_comma += comma_(value) is None
        else:
            not_comma += "." in value if number else True
        not_boolean += low not in ("true", "false")
        not_whole += is_label and not (
            whole_(value) and -_DIGITS <= int(value.split(".")[0]) < _DIGITS
        )
    return ColumnFacts(present, not_number, not_comma, not_whole, not_boolean, long, odd == 0)
