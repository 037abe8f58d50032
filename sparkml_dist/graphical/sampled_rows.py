"""Rows that executors draw from a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.session import get_session

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.types import DataType

__all__ = ["sampled_rows"]

_AT_ONCE = 4096


def sampled_rows(
    rows: int,
    seed: int,
    names: Sequence[str],
    kind: DataType,
    draw: Callable[[int, np.random.Generator], Sequence[pa.Array]],
) -> DataFrame:
    """Return a DataFrame of drawn rows, the same for any number of partitions.

    Parameters
    ----------
    rows, seed : int
    names : sequence of str
        Names of the columns.
    kind : pyspark.sql.types.DataType
        Type of all columns.
    draw : callable
        ``draw(n, generator)`` returns the columns of `n` rows.

    Raises
    ------
    ConfigurationError
        ``invalid_param`` for fewer than 0 rows.
    """
    from pyspark.sql.types import StructField, StructType

    if rows < 0:
        raise ConfigurationError("invalid_param", f"rows must be >= 0. Got {rows}.")
    columns = list(names)

    def drawn(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for block in batch.column(0).to_pylist():
                number = min(_AT_ONCE, rows - block * _AT_ONCE)
                arrays = draw(number, np.random.default_rng([seed, block]))
                yield pa.RecordBatch.from_arrays(list(arrays), columns)

    blocks = get_session().range(0, -(-rows // _AT_ONCE))
    return blocks.mapInArrow(drawn, StructType([StructField(name, kind) for name in columns]))
