"""The rows of text tables, read by Spark as text and converted to types."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from types import MappingProxyType
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
from sparkml_dist.tables.shape import END, PLAIN
from sparkml_dist.tables.sniff import BLANKS
from sparkml_dist.tables.survey import Part

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

__all__ = ["COMMA", "LONG", "NAMED", "NUMBER", "WHOLE", "ColumnFacts", "TextTable", "typed"]

_EXAMPLE = 120
# No column of a table can have this name.
_BAD = "\x01ragged"
NUMBER = r"(?i)^([+-]?((\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?|inf|infinity)|nan)\z"
NAMED = ("inf", "infinity", "nan")
COMMA = r"(?i)^[+-]?(\d+(,\d*)?|,\d+)(e[+-]?\d+)?\z"
WHOLE = r"^[+-]?\d{1,19}(\.0*)?\z"
LONG = r"^[+-]?\d{16,}(\.0*)?\z"
_TOKEN = DOUBLED + r'"|\S+'


@dataclass(frozen=True)
class ColumnFacts:
    """Counts of one pass over a text column.

    Attributes
    ----------
    present : int
        Fields that are neither empty nor missing values.
    not_number, not_comma, not_boolean : int
        Those that are not a number, not a number with a decimal comma, not true or false.
    not_whole, long : int
        Of a label: how many are not 64-bit integers, and how many are integers too long for a
        double.
    plain : bool
        Whether all non-empty fields are numbers.
    """

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
        self,
        spark: SparkSession,
        missing: Sequence[str],
        label: str,
        known: Mapping[str, ColumnFacts] = MappingProxyType({}),
    ) -> list[ColumnFacts]:
        """Count the kinds of all values in one pass, on the workers.

        Parameters
        ----------
        spark : pyspark.sql.SparkSession
        missing : sequence of str
            The user's missing values.
        label : str
            Name of the label; empty for none.
        known : mapping of str to ColumnFacts
            Facts about columns that are known to hold only numbers, when all rows are known to
            have the right number of fields.

        Returns
        -------
        list of ColumnFacts
            One for each column; empty when there are no rows.

        Raises
        ------
        DataError
            ``ragged_rows`` when rows differ in their numbers of fields.
        """
        facts = dict(known)
        if rest := [name for name in self.columns if name not in known]:
            df = self.rows(spark, ragged=not known)
            with input_errors(self.uri):
                counted = self._count_kinds(df, rest, missing, label).collect()
                seen = {row["pos"]: row for row in counted}
                if seen and seen[0]["ragged"] and not known:
                    # Spark notices missing fields only when it parses all columns.
                    fields = f"array({', '.join(quoted(self.columns))})"
                    shown = [f"left(`{_BAD}`, {_EXAMPLE})", fields]
                    bad = df.where(f"`{_BAD}` IS NOT NULL").selectExpr(*shown).head(1)
                    self._raise_ragged(seen[0]["ragged"], seen[0]["rows"], bad[0][0])
            if not seen:
                return []
            for i, name in enumerate(rest):
                row = seen[i].asDict()
                counts = {k: row[k] for k in ColumnFacts.__dataclass_fields__ if k in row}
                facts[name] = ColumnFacts(**counts, plain=row["odd"] == 0)
        return [facts[name] for name in self.columns]

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
        self, df: DataFrame, names: Sequence[str], missing: Sequence[str], label: str
    ) -> DataFrame:
        """Return a DataFrame that counts the kinds of values of some columns."""
        number = f"value < ':' AND value RLIKE r'{NUMBER}' OR lower(value) IN {_listed(NAMED)}"
        word = f"value IS NOT NULL AND value NOT IN {_listed(['', *missing])}"
        here = f"{word} AND (plain OR value NOT IN {_listed(MISSING_VALUES)})"
        return (
            df.selectExpr(
                f"`{_BAD}` AS bad" if _BAD in df.columns else "string(NULL) AS bad",
                f"posexplode(array({', '.join(quoted(names))}))",
            )
            # Comparing the first letter cheaply excludes most words.
            .selectExpr("*", f"coalesce(col < ':' AND col RLIKE r'^{PLAIN}{END}', false) AS plain")
            .selectExpr("*", f"IF(plain, trim(col), {trimmed('col')}) AS value")
            .selectExpr("*", f"coalesce({here}, false) AS here")
            .selectExpr("*", f"CASE WHEN here THEN plain OR {number} END AS number")
            .groupBy("pos")
            .agg(*_counts(names.index(label) if label in names else -1))
        )

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
            else (f"value RLIKE r'{NUMBER}'")
        )
        df = self.rows(spark).selectExpr(f"{value} AS value")
        df = df.where(f"value NOT IN {_listed(['', *missing, *MISSING_VALUES])} AND NOT {good}")
        found = df.selectExpr(f"left(value, {_EXAMPLE})").first()
        return "" if found is None else str(found[0])


def _counts(label: int) -> list[Column]:
    from pyspark.sql import functions as F

    conditions = {
        "rows": "true",
        "ragged": "bad IS NOT NULL",
        "odd": "col != '' AND NOT (plain AND here)",
        "present": "here",
        "not_number": "NOT number",
        "not_comma": f"CASE WHEN value LIKE '%,%' THEN here AND NOT value RLIKE r'{COMMA}' "
        "WHEN number THEN value LIKE '%.%' ELSE here END",
        "not_whole": f"pos = {label} AND here AND NOT (value RLIKE r'{WHOLE}' AND "
        "try_cast(split_part(value, '.', 1) AS bigint) IS NOT NULL)",
        "long": f"pos = {label} AND value RLIKE r'{LONG}'",
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
