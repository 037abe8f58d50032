"""The rows of a DataFrame as codes, which the executors keep between passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sparkml_dist.cluster.joined_batches import joined_batches
from sparkml_dist.cluster.sums.in_order import sum_in_order
from sparkml_dist.cluster.sums.layout import Arrays, Summands
from sparkml_dist.cluster.sums.over_rows import sum_over_partitions
from sparkml_dist.dataset.categories import category_list
from sparkml_dist.dataset.column_names import refuse_ambiguous
from sparkml_dist.dataset.columns import match_columns
from sparkml_dist.dataset.schema import FeatureColumn, FeatureSchema
from sparkml_dist.dataset.statistics import MAX_CATEGORIES, not_utf8, too_many_categories
from sparkml_dist.errors import DataError
from sparkml_dist.graphical.counting.block_counts import Codes
from sparkml_dist.graphical.counting.merged_rows import DISTINCT, MergedRows, distinct_batch
from sparkml_dist.graphical.variables import Variable, Variables

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = [
    "FrameRows",
    "categorical_schema",
    "chosen_columns",
    "codes_of",
    "schema_of_lists",
    "variables_of",
]

_ROWS_AT_ONCE = 65_536


def chosen_columns(df: DataFrame, patterns: Sequence[str] | None) -> list[str]:
    """Return the columns that hold variables, by the schema; no row is read.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
    patterns : sequence of str, optional
        Names or globs; all columns by default.

    Raises
    ------
    DataError
        ``column_not_found``, ``duplicate_columns``; ``column_type`` for what is neither text,
        number nor boolean.
    """
    from pyspark.sql.types import BooleanType, NumericType, StringType

    types = {field.name: field.dataType for field in df.schema.fields}
    names = list(df.columns)
    if patterns is not None:
        names = match_columns("features", list(patterns), types)
    refuse_ambiguous(df, names)
    for name in names:
        if not isinstance(types[name], StringType | NumericType | BooleanType):
            raise DataError(
                "column_type",
                f"The column {name!r} must hold strings, numbers or booleans. "
                f"Got {types[name].simpleString()}.",
                "Name the columns in featuresCols, or spread a vector out into columns.",
            )
    if not names:
        raise DataError("no_features", "There is no column.", "Give a table with columns.")
    return names


def categorical_schema(df: DataFrame, names: Sequence[str]) -> FeatureSchema:
    """Return the columns with their lists of categories, in one pass.

    Raises
    ------
    DataError
        ``too_many_categories``, ``not_utf8``; ``missing_values`` for a column without any value.
    """
    return schema_of_lists(names, _lists(df, names))


def schema_of_lists(names: Sequence[str], lists: Mapping[str, Sequence[str]]) -> FeatureSchema:
    """Return columns with their lists of categories; raises as `categorical_schema`."""
    columns = [FeatureColumn(name, "categorical", categories=tuple(lists[name])) for name in names]
    empty = [c.name for c in columns if not c.categories]
    if len(empty) == len(names):
        raise DataError("empty_data", "The data has no rows.", "Check the path and filters.")
    if empty:
        raise DataError(
            "missing_values",
            f"The column {empty[0]!r} has no values at all.",
            "Leave it out of featuresCols.",
        )
    return FeatureSchema.build(columns, sparse=False)


def _lists(df: DataFrame, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return what `category_lists` does; workers find the distinct values of their rows first.

    With many columns, that is faster than to make a row of each value.
    """
    plain = FeatureSchema.build([FeatureColumn(n, "categorical") for n in names], sparse=False)
    found = (
        df.select(*plain.transport())
        .mapInArrow(_distinct, "column int, value binary")
        .distinct()
        .limit(MAX_CATEGORIES * len(names) + 1)
        .toArrow()
    )
    values: list[list[str]] = [[] for _ in names]
    for i, value in zip(*(c.to_pylist() for c in found.columns), strict=True):
        try:
            values[i].append(value.decode())
        except UnicodeDecodeError:
            raise not_utf8("categorical", names[i]) from None
    for name, texts in zip(names, values, strict=True):
        if len(texts) > MAX_CATEGORIES:
            raise too_many_categories(name)
    return {name: category_list(texts) for name, texts in zip(names, values, strict=True)}


def _distinct(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    seen: list[set[bytes]] = []
    for batch in batches:
        seen = seen or [set() for _ in batch.columns]
        for values, column in zip(seen, batch.columns, strict=True):
            if len(values) <= MAX_CATEGORIES:
                texts = pc.unique(column.cast(pa.binary())).drop_null()
                values.update(texts[: MAX_CATEGORIES + 1].to_pylist())
    for i, values in enumerate(seen):
        columns = [pa.array([i] * len(values), pa.int32()), pa.array(sorted(values), pa.binary())]
        yield pa.RecordBatch.from_arrays(columns, ["column", "value"])


def variables_of(schema: FeatureSchema) -> Variables:
    """Return categorical columns as variables."""
    return Variables(tuple(Variable(c.name, c.categories) for c in schema.columns))


def codes_of(features: npt.NDArray[Any]) -> Codes:
    """Return a matrix of categories as codes: -1 for NaN, which stands for missing and unseen."""
    missing = np.isnan(features)
    return np.where(missing, -1, features).astype(np.int16)


class FrameRows:
    """The rows of a DataFrame, encoded once.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
    names : sequence of str
        As `chosen_columns` returns them.
    schema : FeatureSchema, optional
        As `categorical_schema` returns it, where it is known.
    """

    def __init__(
        self, df: DataFrame, names: Sequence[str], schema: FeatureSchema | None = None
    ) -> None:
        self.schema = schema or categorical_schema(df, names)
        self.variables = variables_of(self.schema)
        encode = partial(_encoded, schema=self.schema)
        # A batch is one value: Spark keeps it as it is, and hands it over at once.
        self._kept = df.select(*self.schema.transport()).mapInArrow(encode, "codes binary")
        self._kept = self._kept.persist()

    def sum(
        self,
        function: Callable[..., Summands],
        parameters: Sequence[Any] = (),
        *,
        description: str = "sum over rows",
    ) -> Arrays:
        """Return the sums of what a function returns for each block of rows."""
        work = partial(_sum_of, function, tuple(parameters), len(self.variables))
        return sum_over_partitions(self._kept, work, description=description)

    def held(self) -> None:
        """Return None: the rows are on the executors."""

    def merged(self) -> MergedRows:
        """Return the distinct rows, each in one place."""
        distinct = partial(_distinct_of, len(self.variables))
        return MergedRows(self._kept.mapInArrow(distinct, DISTINCT), self.variables)

    def close(self) -> None:
        """Free the encoded rows."""
        self._kept.unpersist()


def _encoded(
    batches: Iterator[pa.RecordBatch], *, schema: FeatureSchema
) -> Iterator[pa.RecordBatch]:
    arrays = (pa.StructArray.from_arrays(b.columns, b.schema.names) for b in batches)
    for rows in joined_batches(arrays, _ROWS_AT_ONCE):
        if not len(rows):
            continue
        features = schema.encode([rows.field(i) for i in range(schema.n_transported)])
        codes = codes_of(np.asarray(features))
        yield pa.RecordBatch.from_arrays(
            [pa.array([codes.astype("<i2").tobytes()], pa.binary())], ["codes"]
        )


def _distinct_of(width: int, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for value in batch.column(0):
            yield distinct_batch(np.frombuffer(value.as_buffer(), "<i2").reshape(-1, width))


def _sum_of(
    function: Callable[..., Summands],
    parameters: tuple[Any, ...],
    width: int,
    batches: Iterator[pa.RecordBatch],
) -> Arrays:
    def parts() -> Iterator[Summands]:
        yielded = False
        for batch in batches:
            for value in batch.column(0):
                codes = np.frombuffer(value.as_buffer(), "<i2").reshape(-1, width)
                yield function(codes, *parameters)
                yielded = True
        if not yielded:
            yield function(np.zeros((0, width), np.int16), *parameters)

    return sum_in_order(parts())
