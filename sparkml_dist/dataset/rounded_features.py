"""Warns of features that lose what tells their values apart: blocks are float32."""

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
# By chance, of a thousand different numbers a few are one as float32.
_FEWER = 0.9


def warn_of_rounding(df: DataFrame, features: Sequence[str]) -> None:
    """Log a warning of numeric features whose values float32 cannot tell apart.

    Such are identifiers past 2**24, and times that lie within seconds of one another. The first
    rows are looked at, and only columns whose types hold more digits.

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

    sample = df.select(*quoted(names)).limit(_ROWS).coalesce(1)
    for row in sample.mapInArrow(look, "name string, values long, left long").collect():
        if row["left"] < _FEWER * row["values"]:
            _logger.warning(
                "float32, in which features are kept, tells no more than %d of %d values of %r "
                "apart: name it as categorical, leave it out, or subtract what its values have in "
                "common",
                row["left"],
                row["values"],
                row["name"],
            )


def counts_of(values: pa.ChunkedArray) -> tuple[int, int]:
    """Return how many different values a column has, and how many are left of them as float32."""
    distinct = pc.unique(values.drop_null())
    rounded = distinct.cast(pa.float64(), safe=False).cast(pa.float32(), safe=False)
    return len(distinct), len(pc.unique(rounded))
