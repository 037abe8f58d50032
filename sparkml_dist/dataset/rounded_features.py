"""Warns of features whose distinct values become equal in float32, the type of blocks."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from sparkml_dist.dataset.many_columns import quoted
from sparkml_dist.dataset.packed_columns import PACKED, packed_columns, unpacked_types

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row

__all__ = ["warn_of_rounding"]

_logger = logging.getLogger(__name__)

_ROWS = 1_000
# Of a thousand distinct numbers, a few may become equal in float32 by chance.
_FEWER = 0.9


def warn_of_rounding(df: DataFrame, features: Sequence[str]) -> None:
    """Log a warning for numeric features whose values float32 cannot distinguish.

    Examples are identifiers beyond 2**24 and times that differ by seconds. Checks the first rows,
    and only columns whose types hold more digits than float32.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
    features : sequence of str
        Numeric columns.
    """
    from pyspark.sql.types import DecimalType, DoubleType, IntegerType, LongType

    packed = packed_columns(df)
    if packed and isinstance(unpacked_types(df)[packed[0]], DoubleType):
        _warn(_sampled(df.select(PACKED), packed, by_column=False))
        return
    wide = DecimalType | DoubleType | IntegerType | LongType
    chosen = set(features)
    names = [f.name for f in df.schema.fields if f.name in chosen and isinstance(f.dataType, wide)]
    if not names:
        return

    # PySpark's `mapInArrow` takes columns by names that it does not quote.
    numbered = [f"{name} AS c{i}" for i, name in enumerate(quoted(names))]
    _warn(_sampled(df.selectExpr(*numbered), names, by_column=True))


def _sampled(df: DataFrame, names: Sequence[str], *, by_column: bool) -> list[Row]:
    """Count distinct values in the first rows, of columns or of one array with all of them."""

    def look(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        held = list(batches)
        if not held:
            return
        columns = pa.Table.from_batches(held).columns
        if not by_column:
            flat = columns[0].combine_chunks().flatten().to_numpy(zero_copy_only=False)
            rows = flat.reshape(-1, len(names))
            columns = [pa.chunked_array([pa.array(row, from_pandas=True)]) for row in rows.T]
        counts = [counts_of(column) for column in columns]
        yield pa.RecordBatch.from_pydict(
            {
                "name": list(names),
                "values": pa.array([c[0] for c in counts], pa.int64()),
                "left": pa.array([c[1] for c in counts], pa.int64()),
            }
        )

    sample = df.limit(_ROWS).coalesce(1)
    return sample.mapInArrow(look, "name string, values long, left long").collect()


def _warn(counted: Sequence[Row]) -> None:
    for row in counted:
        if row["left"] < _FEWER * row["values"]:
            _logger.warning(
                "features are stored as float32, which distinguishes only %d of %d values of %r: "
                "list it as categorical, leave it out, or subtract an offset that its values "
                "share",
                row["left"],
                row["values"],
                row["name"],
            )


def counts_of(values: pa.ChunkedArray) -> tuple[int, int]:
    """Return the number of distinct values of a column, before and after rounding to float32."""
    distinct = pc.unique(values.drop_null())
    rounded = distinct.cast(pa.float64(), safe=False).cast(pa.float32(), safe=False)
    return len(distinct), len(pc.unique(rounded))
