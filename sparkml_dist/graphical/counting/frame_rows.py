"""The rows of a DataFrame as codes, which the executors keep between passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sparkml_dist.cluster.joined_batches import joined_batches
from sparkml_dist.cluster.sums.in_order import sum_in_order
from sparkml_dist.cluster.sums.layout import Arrays, Summands
from sparkml_dist.cluster.sums.over_rows import sum_over_partitions
from sparkml_dist.dataset.column_names import refuse_ambiguous
from sparkml_dist.dataset.columns import match_columns
from sparkml_dist.dataset.schema import FeatureColumn, FeatureSchema
from sparkml_dist.dataset.statistics import category_lists
from sparkml_dist.errors import DataError
from sparkml_dist.graphical.counting.block_counts import Codes
from sparkml_dist.graphical.variables import Variable, Variables

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["FrameRows", "categorical_schema", "chosen_columns", "codes_of"]

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
    lists = category_lists(df, names)
    columns = [FeatureColumn(name, "categorical", categories=lists[name]) for name in names]
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
    """

    def __init__(self, df: DataFrame, names: Sequence[str]) -> None:
        self.schema = categorical_schema(df, names)
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
