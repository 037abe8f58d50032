"""The rows of text tables, read by Spark as text and converted to types."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

from sparkml_dist.dataset.many_columns import literal, quoted
from sparkml_dist.errors import DataError
from sparkml_dist.tables.encoding import (
    BYTES,
    decode_sql,
    is_wide,
    literal_path,
    spark_encoding,
)
from sparkml_dist.tables.lines import input_errors
from sparkml_dist.tables.quotes import DOUBLED, unquoted
from sparkml_dist.tables.schema import MISSING_VALUES
from sparkml_dist.tables.sniff import BLANKS
from sparkml_dist.tables.survey import Part

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

__all__ = ["ColumnFacts", "TextTable", "typed"]

_EXAMPLE = 120
# No column of a table can have this name.
_BAD = "\x01ragged"
_NUMBER = r"(?i)^([+-]?((\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?|inf|infinity)|nan)$"
_COMMA = r"(?i)^[+-]?(\d+(,\d*)?|,\d+)(e[+-]?\d+)?$"
_WHOLE = r"^[+-]?\d{1,19}(\.0*)?$"
_LONG = r"^[+-]?\d{16,}(\.0*)?$"
_TOKEN = DOUBLED + r'"|\S+'


@dataclass(frozen=True)
class ColumnFacts:
    """Counts of one pass over a text column.

    Attributes
    ----------
    words : int
        Fields that are neither empty nor among the user's missing values.
    present : int
        Those that are not among `MISSING_VALUES` either.
    not_number, not_comma, not_boolean : int
        Those that are not a number, not a number with a decimal comma, not true or false.
    not_whole, long : int
        Of a label: how many are not 64-bit integers, and how many are integers too long for a
        double.
    plain : bool
        Whether all non-empty fields are numbers.
    """

    words: int = 0
    present: int = 0
    not_number: int = 0
    not_comma: int = 0
    not_whole: int = 0
    not_boolean: int = 0
    long: int = 0
    plain: bool = False

    def kind(self, decimal: str = ".") -> str:
        """Return the narrowest kind for all values: number, boolean or string."""
        if (self.not_comma if decimal == "," else self.not_number) == 0:
            return "number"
        return "boolean" if self.not_boolean == 0 else "string"


@dataclass(frozen=True)
class TextTable:
    """A text table at `uri` with a known dialect.

    Attributes
    ----------
    uri : str
    delimiter : str
    comment : str
    encoding : str or None
        The value of `check_encoding`.
    names : tuple of str
        Columns that are fields of rows.
    folders : tuple of str
        Columns in the names of folders.
    parts : dict of Part to list of str
        The files, grouped by how they are written.
    header : tuple of str or None
        The names as written in the files.
    repeated : bool
        Whether the names occur among the rows too.
    """

    uri: str
    delimiter: str
    comment: str
    encoding: str | None
    names: tuple[str, ...]
    folders: tuple[str, ...]
    parts: Mapping[Part, Sequence[str]]
    header: tuple[str, ...] | None
    repeated: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns. A field hides a folder column of the same name."""
        return (*self.names, *self._only_folders)

    @property
    def _only_folders(self) -> list[str]:
        return [name for name in self.folders if name not in self.names]

    def rows(
        self, spark: SparkSession, *, ragged: bool = False, numbers: Collection[str] = ()
    ) -> DataFrame:
        """Return the rows as strings, lazily.

        Parameters
        ----------
        spark : pyspark.sql.SparkSession
        numbers : collection of str
            Fields to return as doubles; they must hold only numbers and empty fields.
        ragged : bool, default=False
            Whether to add a column with the text of each row that has too few or too many fields.
        """
        if self.repeated:
            numbers = ()
        frames = [self._part(spark, part, files, numbers) for part, files in self.parts.items()]
        df = reduce(lambda a, b: a.union(b), frames)
        if self.repeated and self.header is not None:
            same = [
                f"trim({name}) = {literal(head)}"
                for name, head in zip(quoted(self.names), self.header, strict=True)
                if head
            ]
            df = df.where(f"NOT coalesce({' AND '.join(same)}, false)")
        return df if ragged else df.drop(_BAD)

    def _part(
        self, spark: SparkSession, part: Part, files: Sequence[str], numbers: Collection[str]
    ) -> DataFrame:
        from pyspark.sql.types import DoubleType, StringType, StructType

        width = len(self.names)
        whole = self.delimiter == BLANKS
        fields = ["line"] if whole else [self.names[i] for i in part.columns]
        if {*fields} & {*self.folders}:
            # Spark would confuse the fields with the columns in folder names.
            fields = [f"field {i}" for i in range(width)]
        doubles = [not whole and self.names[i] in numbers for i in part.columns]
        schema = StructType()
        for name, double in zip(fields, doubles, strict=False):
            schema = schema.add(name, DoubleType() if double else StringType())
        for name in [*self._only_folders, *([] if whole else [_BAD])]:
            schema = schema.add(name, StringType())
        encoding = spark_encoding(self.encoding, valid=part.valid)
        reader = spark.read.schema(schema)
        if self.folders:
            reader = reader.option("basePath", self.uri)
        with input_errors(self.uri):
            df = reader.csv(
                # If all files are alike, pass the folder: the list of files may be long.
                self.uri if len(self.parts) == 1 else [literal_path(file) for file in files],
                sep="\x01" if whole else self.delimiter,
                quote="" if whole else '"',
                escape=part.escape,
                header=part.header,
                encoding=encoding,
                comment=self.comment or None,
                multiLine=part.multiline or is_wide(self.encoding),
                ignoreLeadingWhiteSpace=part.blanks,
                ignoreTrailingWhiteSpace=part.blanks,
                maxColumns=max(20_480, width + 1),
                columnNameOfCorruptRecord=_BAD,
            )
        columns = quoted(fields)
        if encoding == BYTES:
            columns = [
                column if double else decode_sql(column, self.encoding)
                for column, double in zip(columns, doubles, strict=False)
            ]
        bad = f"`{_BAD}`"
        if whole:
            tokens = f"regexp_extract_all({columns[0]}, r'{_TOKEN}', 0)"
            df = df.selectExpr("*", f"{tokens} AS tokens")
            columns = [unquoted(f"get(tokens, {i})", DOUBLED) for i in range(width)]
            bad = f"CASE WHEN size(tokens) != {width} THEN line END"
        by_name = {self.names[c]: columns[i] for i, c in enumerate(part.columns)}
        return df.selectExpr(
            *[f"{by_name[name]} AS {quoted([name])[0]}" for name in self.names],
            *quoted(self._only_folders),
            f"{bad} AS `{_BAD}`",
        )

    def facts(
        self, spark: SparkSession, missing: Sequence[str], label: str
    ) -> tuple[int, list[ColumnFacts]]:
        """Count the kinds of all values in one pass, on the workers.

        Parameters
        ----------
        spark : pyspark.sql.SparkSession
        missing : sequence of str
            The user's missing values.
        label : str
            Name of the label; empty for none.

        Returns
        -------
        rows : int
        columns : list of ColumnFacts

        Raises
        ------
        DataError
            ``ragged_rows`` when rows differ in their numbers of fields.
        """
        names = self.columns
        if not self.parts:
            return 0, [ColumnFacts() for _ in names]
        df = self.rows(spark, ragged=True)
        with input_errors(self.uri):
            seen = df.selectExpr(*self._quick_counts(missing)).collect()[0]
            if seen["ragged"]:
                # Spark notices missing fields only when it parses all columns.
                fields = f"array({', '.join(quoted(names))})"
                shown = [f"left(`{_BAD}`, {_EXAMPLE})", fields]
                bad = df.where(f"`{_BAD}` IS NOT NULL").selectExpr(*shown).head(1)
                self._raise_ragged(seen["ragged"], seen["rows"], bad[0][0])
        plain = [seen[f"doubt{i}"] == 0 and name != label for i, name in enumerate(names)]
        facts = [
            ColumnFacts(
                words=seen[f"present{i}"],
                present=seen[f"present{i}"],
                not_comma=seen[f"point{i}"],
                not_boolean=seen[f"present{i}"],
                plain=plain[i],
            )
            for i in range(len(names))
        ]
        rest = [i for i, p in enumerate(plain) if not p]
        if rest and seen["rows"]:
            for i, fact in zip(rest, self._count_kinds(df, rest, missing, label), strict=True):
                facts[i] = fact
        return seen["rows"], facts

    def _quick_counts(self, missing: Sequence[str]) -> list[str]:
        """Return SQL that counts the fields of each column that may not be numbers."""
        found = ["count(1) AS rows", f"count(`{_BAD}`) AS ragged"]
        for i, c in enumerate(quoted(self.columns)):
            # Java accepts 1d as a number; comparing the first letter cheaply excludes most words.
            number = f"{c} < ':' AND abs(try_cast({c} AS double)) < double('infinity')"
            number += "".join(f" AND NOT endswith({c}, '{x}')" for x in "dDfF")
            if missing:
                number += f" AND trim({c}) NOT IN {_listed(missing)}"
            point = "0" if self.delimiter == "," else f"count_if(contains({c}, '.'))"
            found += [
                f"count_if({c} != '') AS present{i}",
                f"count_if({c} != '' AND NOT coalesce({number}, false)) AS doubt{i}",
                f"{point} AS point{i}",
            ]
        return found

    def _raise_ragged(self, ragged: int, rows: int, example: str) -> None:
        what = "names" if self.header else "fields in the first row"
        raise DataError(
            "ragged_rows",
            f"{ragged:,} of {rows:,} rows of {self.uri!r} do not have {len(self.names)} "
            f"fields, the number of {what}; one is {example!r}.",
            "Check the delimiter (--delimiter), quotes, truncated lines, and comments "
            "(--comment '#').",
        )

    def _count_kinds(
        self, df: DataFrame, places: Sequence[int], missing: Sequence[str], label: str
    ) -> list[ColumnFacts]:
        """Count the kinds of values of some columns exactly."""
        names = [self.columns[i] for i in places]
        word = f"value IS NOT NULL AND value NOT IN {_listed(['', *missing])}"
        found = (
            df.selectExpr(f"posexplode(array({', '.join(quoted(names))})) AS (pos, raw)")
            .selectExpr("pos", f"{trimmed('raw')} AS value")
            .selectExpr("*", f"coalesce({word}, false) AS word")
            .selectExpr("*", f"word AND value NOT IN {_listed(MISSING_VALUES)} AS here")
            .selectExpr("*", f"CASE WHEN here THEN value RLIKE r'{_NUMBER}' END AS number")
            .groupBy("pos")
            .agg(*_counts(names.index(label) if label else -1))
        )
        with input_errors(self.uri):
            by_place = {row["pos"]: row.asDict() for row in found.collect()}
        keys = {*ColumnFacts.__dataclass_fields__} - {"plain"}
        return [ColumnFacts(**{k: by_place[i][k] for k in keys}) for i in range(len(names))]

    def example(self, spark: SparkSession, name: str, kind: str, missing: Sequence[str]) -> str:
        """Return a value of a column that does not fit a kind.

        Parameters
        ----------
        spark : pyspark.sql.SparkSession
        name, kind : str
        missing : sequence of str
            As for `facts`.
        """
        value = trimmed(quoted([name])[0])
        good = (
            "lower(value) IN ('true', 'false')"
            if kind == "boolean"
            else (f"value RLIKE r'{_NUMBER}'")
        )
        df = self.rows(spark).selectExpr(f"{value} AS value")
        df = df.where(f"value NOT IN {_listed(['', *missing, *MISSING_VALUES])} AND NOT {good}")
        found = df.selectExpr(f"left(value, {_EXAMPLE})").first()
        return "" if found is None else str(found[0])


def _counts(label: int) -> list[Column]:
    from pyspark.sql import functions as F

    conditions = {
        "words": "word",
        "present": "here",
        "not_number": "NOT number",
        "not_comma": f"CASE WHEN value LIKE '%,%' THEN here AND NOT value RLIKE r'{_COMMA}' "
        "WHEN number THEN value LIKE '%.%' ELSE here END",
        "not_whole": f"pos = {label} AND here AND NOT (value RLIKE r'{_WHOLE}' AND "
        "try_cast(split_part(value, '.', 1) AS bigint) IS NOT NULL)",
        "long": f"pos = {label} AND value RLIKE r'{_LONG}'",
        "not_boolean": "here AND lower(value) NOT IN ('true', 'false')",
    }
    return [F.expr(f"count_if({c})").alias(name) for name, c in conditions.items()]


def trimmed(column: str) -> str:
    """Return SQL for a text column without blanks at its ends."""
    return f"btrim({column}, ' \\t\\r\\n\\u00a0')"


def typed(name: str, kind: str, *, missing: Sequence[str], marked: bool, decimal: str = ".") -> str:
    """Return SQL that converts a text column to `kind`.

    Parameters
    ----------
    name : str
    kind : {"number", "integer", "boolean", "string", "text"}
        ``"text"`` keeps the text.
    missing : sequence of str
        The user's missing values.
    marked : bool
        Whether `MISSING_VALUES` count as missing.
    decimal : str, default="."
        Decimal mark.
    """
    column = quoted([name])[0]
    if kind == "text":
        return column
    value = trimmed(column)
    gone = _listed(["", *missing, *(MISSING_VALUES if marked else ())])
    point = value if decimal == "." else f"replace({value}, ',', '.')"
    if kind == "number":
        # All other fields are numbers or missing: `facts` has checked them.
        gone = _listed(["NaN", "nan", *missing])
        return f"CASE WHEN {value} NOT IN {gone} THEN try_cast({point} AS double) END AS {column}"
    made = {
        "integer": f"bigint(split_part({point}, '.', 1))",
        "boolean": f"lower({value}) = 'true'",
        "string": value,
    }[kind]
    return f"CASE WHEN {value} NOT IN {gone} THEN {made} END AS {column}"


def _listed(values: Sequence[str]) -> str:
    """Return an SQL list of texts."""
    return f"({', '.join(map(literal, dict.fromkeys(values)))})"
