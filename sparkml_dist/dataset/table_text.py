"""Text tables parsed by the workers: from lines to typed columns."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pyarrow import csv as pacsv

from sparkml_dist.dataset.table_lines import decode, input_errors, lines
from sparkml_dist.dataset.table_sniff import BLANKS, COMMENT, Dialect, split_blanks
from sparkml_dist.dataset.table_values import look_at, present, typed
from sparkml_dist.errors import DataError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["ColumnFacts", "TextTable", "parse_text"]

# Values in a slice of rows that is parsed and handed to Spark at once.
_SLICE_VALUES = 2_000_000
_EXAMPLE = 120

_SPARK_TYPES = {"number": "double", "integer": "long", "boolean": "boolean", "string": "string"}


@dataclass(frozen=True)
class ColumnFacts:
    """What one pass over a text column tells.

    Attributes
    ----------
    present : int
        Values that are not missing.
    not_number, not_integer, not_boolean : int
        How many of these are no number, no whole number, neither true nor false.
    example : str or None
        One of those that are no number.
    """

    present: int
    not_number: int
    not_integer: int
    not_boolean: int
    example: str | None

    @property
    def kind(self) -> str:
        """The narrowest kind that holds all values: number, boolean or string."""
        if self.not_number == 0:
            return "number"
        return "boolean" if self.not_boolean == 0 else "string"


@dataclass(frozen=True)
class TextTable:
    """A text table at `uri`, its dialect known.

    Attributes
    ----------
    uri : str
    dialect : Dialect
    missing : tuple of str
        Fields that stand for "no value".
    """

    uri: str
    dialect: Dialect
    missing: tuple[str, ...]

    def facts(self, spark: SparkSession) -> tuple[int, list[ColumnFacts]]:
        """Look at every value once, on the workers.

        Returns
        -------
        rows : int
        columns : list of ColumnFacts

        Raises
        ------
        DataError
            ``ragged_rows`` when rows differ in their number of fields.
        """
        from pyspark.sql import functions as F

        schema = (
            "column int, present bigint, not_number bigint, not_integer bigint, "
            "not_boolean bigint, example string"
        )
        counts = ["present", "not_number", "not_integer", "not_boolean"]
        with input_errors(self.uri):
            found = (
                self._lines(spark)
                .mapInArrow(partial(_look, self), schema)
                .groupBy("column")
                .agg(*[F.sum(c).alias(c) for c in counts], F.min("example").alias("example"))
                .collect()
            )
        facts = {
            r["column"]: ColumnFacts(example=r["example"], **{c: r[c] for c in counts})
            for r in found
        }
        whole = facts.pop(-1, ColumnFacts(0, 0, 0, 0, None))
        if whole.not_number:
            names = "names" if self.dialect.header else "fields in the first row"
            raise DataError(
                "ragged_rows",
                f"{whole.not_number:,} of {whole.present + whole.not_number:,} rows of "
                f"{self.uri!r} do not have {self.dialect.width} fields, as many as there are "
                f"{names}; one has {whole.example}",
                "Check the delimiter (--delimiter), quotes, and lines cut short.",
            )
        nothing = ColumnFacts(0, 0, 0, 0, None)
        return whole.present, [facts.get(i, nothing) for i in range(self.dialect.width)]

    def read(self, spark: SparkSession, columns: Sequence[str], kinds: Sequence[str]) -> DataFrame:
        """Return the rows as typed columns, lazily.

        Parameters
        ----------
        spark : pyspark.sql.SparkSession
        columns : sequence of str
            A name for each field of a row.
        kinds : sequence of str
            ``"number"``, ``"integer"``, ``"boolean"`` or ``"string"`` for each.
        """
        from pyspark.sql.types import StructType

        schema = StructType()
        for name, kind in zip(columns, kinds, strict=True):
            schema = schema.add(name, _SPARK_TYPES[kind])
        return self._lines(spark).mapInArrow(partial(_convert, self, columns, kinds), schema)

    def _lines(self, spark: SparkSession) -> DataFrame:
        whole = self.dialect.multiline
        return lines(spark, self.uri, whole_files=whole).select("value")

    def slices(
        self, batches: Iterator[pa.RecordBatch]
    ) -> Iterator[tuple[list[pa.Array], list[str]]]:
        """Parse batches of lines into columns of strings and descriptions of ragged rows."""
        step = max(1, _SLICE_VALUES // self.dialect.width)
        for batch in batches:
            values = batch.column(0).cast(pa.binary()).to_pylist()
            for at in range(0, len(values), step):
                yield parse_text(decode(values[at : at + step]), self.dialect)


def parse_text(text: str, dialect: Dialect) -> tuple[list[pa.Array], list[str]]:
    """Parse lines of a text table into columns of strings, comments and headers left out.

    Parameters
    ----------
    text : str
        Whole lines; a whole file where values run over several lines.
    dialect : Dialect

    Returns
    -------
    columns : list of pyarrow.Array of string, one for each field
        Fields as they stand, quotes resolved.
    ragged : list of str
        A description of each row of another width, which is left out.
    """
    header = dialect.first_line.strip() if dialect.header else None
    rows = text.removeprefix("\ufeff").split("\n")
    if dialect.multiline:
        # Further down, a line may be the middle of a value.
        while rows and (not rows[0].strip() or _is_comment(rows[0], dialect)):
            del rows[0]
        if rows and rows[0].strip() == header:
            del rows[0]
    else:
        rows = [
            row
            for row in rows
            if (bare := row.strip())
            and bare.removeprefix("\ufeff") != header  # every part file has one
            and not _is_comment(row, dialect)
        ]
    text = "\n".join(rows)
    if not text.strip():
        return [pa.array([], pa.string())] * dialect.width, []
    if dialect.delimiter == BLANKS:
        return _parse_blanks(text, dialect.width)
    return _parse_delimited(text, dialect)


def _is_comment(line: str, dialect: Dialect) -> bool:
    return dialect.comments and line.startswith(COMMENT)


def _parse_blanks(text: str, width: int) -> tuple[list[pa.Array], list[str]]:
    rows, ragged = [], []
    for line in text.split("\n"):
        row = split_blanks(line)
        if len(row) == width:
            rows.append(row)
        else:
            ragged.append(_describe(len(row), line))
    columns = zip(*rows, strict=True) if rows else [()] * width
    return [pa.array(column, pa.string()) for column in columns], ragged


def _parse_delimited(text: str, dialect: Dialect) -> tuple[list[pa.Array], list[str]]:
    ragged: list[str] = []

    def skip(row: pacsv.InvalidRow) -> str:
        ragged.append(_describe(row.actual_columns, row.text))
        return "skip"

    if f'{dialect.delimiter} "' in text:
        # Blanks between delimiter and quote would make the quote part of the value.
        text = re.sub(re.escape(dialect.delimiter) + ' +"', f'{dialect.delimiter}"', text)
    content = text.encode()
    names = [str(i) for i in range(dialect.width)]
    table = pacsv.read_csv(
        io.BytesIO(content),
        read_options=pacsv.ReadOptions(
            use_threads=False, column_names=names, block_size=len(content) + 1
        ),
        parse_options=pacsv.ParseOptions(
            delimiter=dialect.delimiter,
            newlines_in_values=dialect.multiline,
            invalid_row_handler=skip,
        ),
        convert_options=pacsv.ConvertOptions(
            column_types={name: pa.string() for name in names}, check_utf8=False
        ),
    )
    return [column.combine_chunks() for column in table.columns], ragged


def _describe(fields: int, text: str) -> str:
    return f"{fields}: {' '.join(text.split())[:_EXAMPLE]!r}."


def _look(table: TextTable, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Count, for each column, the values that are not of each kind; row -1 is about whole rows."""
    counts = np.zeros((table.dialect.width, 4), dtype=np.int64)
    examples: list[str | None] = [None] * table.dialect.width
    rows, n_ragged, example = 0, 0, None
    for columns, ragged in table.slices(batches):
        rows += len(columns[0])
        n_ragged += len(ragged)
        example = example or (ragged[0] if ragged else None)
        for i, raw in enumerate(columns):
            values = present(raw, table.missing).drop_null()
            seen, bad = look_at(values, table.dialect.decimal)
            counts[i] += seen
            examples[i] = examples[i] or bad
    if not rows + n_ragged:
        return
    yield pa.RecordBatch.from_pydict(
        {
            "column": pa.array(range(-1, table.dialect.width), pa.int32()),
            "present": pa.array([rows, *counts[:, 0]], pa.int64()),
            "not_number": pa.array([n_ragged, *counts[:, 1]], pa.int64()),
            "not_integer": pa.array([0, *counts[:, 2]], pa.int64()),
            "not_boolean": pa.array([0, *counts[:, 3]], pa.int64()),
            "example": pa.array([example, *examples], pa.string()),
        }
    )


def _convert(
    table: TextTable,
    columns: Sequence[str],
    kinds: Sequence[str],
    batches: Iterator[pa.RecordBatch],
) -> Iterator[pa.RecordBatch]:
    decimal = table.dialect.decimal
    for raw, ragged in table.slices(batches):
        if ragged:
            raise DataError(
                "ragged_rows", f"{table.uri!r} changed while it was read: a row has {ragged[0]}"
            )
        arrays = []
        for name, kind, values in zip(columns, kinds, raw, strict=True):
            array = typed(present(values, table.missing), kind, decimal)
            if array is None:
                raise DataError(
                    "non_numeric_value",
                    f"{table.uri!r} changed while it was read: column {name!r} is no {kind}.",
                )
            arrays.append(array)
        yield pa.RecordBatch.from_arrays(arrays, names=list(columns))
