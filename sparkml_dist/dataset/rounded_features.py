"""Warns of features whose distinct values become equal in float32, the type of blocks."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from sparkml_dist.dataset.many_columns import quoted

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

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

    wide = DecimalType | DoubleType | IntegerType | LongType
    chosen = set(features)
    names = [f.name for f in df.schema.fields if f.name in chosen and isinstance(f.dataType, wide)]
    if not names:
        return

    def look(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        held = list(batches)
        if not held:
            return
        counts = [counts_of(column) for column in pa.Table.from_batches(held).columns]
        yield pa.RecordBatch.from_pydict(
            {
                "name": names,
                "values": pa.array([c[0] for c in counts], pa.int64()),
                "left": pa.array([c[1] for c in counts], pa.int64()),
            }
        )

    # PySpark's `mapInArrow` takes columns by names that it does not quote.
    numbered = [f"{name} AS c{i}" for i, name in enumerate(quoted(names))]
    sample = df.selectExpr(*numbered).limit(_ROWS).coalesce(1)
    for row in sample.mapInArrow(look, "name string, values long, left long").collect():
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
