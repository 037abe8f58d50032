"""Rows on the executors, equal ones merged across blocks: how often each occurs is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sparkml_dist.cluster.sums.in_order import sum_in_order
from sparkml_dist.cluster.sums.layout import Arrays, Summands
from sparkml_dist.cluster.sums.over_rows import sum_over_partitions
from sparkml_dist.graphical.counting.block_counts import Codes
from sparkml_dist.graphical.counting.chosen_rows import OfChosen
from sparkml_dist.graphical.counting.distinct_rows import distinct_rows
from sparkml_dist.graphical.counting.held_rows import repeated_blocks
from sparkml_dist.graphical.variables import Variables

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["DISTINCT", "MergedRows", "distinct_batch", "sums_of_merged"]

#: Columns of a DataFrame of distinct rows of blocks: the codes, and how often they occur.
DISTINCT = "row binary, often long"


def distinct_batch(codes: Codes) -> pa.RecordBatch:
    """Return the distinct rows of a block, with the columns of `DISTINCT`."""
    rows, often = distinct_rows(codes, np.ones(len(codes), np.int64))
    kind = pa.binary(2 * codes.shape[1])
    packed = pa.py_buffer(np.ascontiguousarray(rows, "<i2").tobytes())
    column = pa.FixedSizeBinaryArray.from_buffers(kind, len(rows), [None, packed])
    return pa.RecordBatch.from_arrays([column.cast(pa.binary()), pa.array(often)], ["row", "often"])


class MergedRows:
    """Rows of which each distinct one lies in one place.

    Parameters
    ----------
    distinct : pyspark.sql.DataFrame
        See `DISTINCT`.
    variables : Variables
    """

    def __init__(self, distinct: DataFrame, variables: Variables) -> None:
        self.variables = variables
        rows = distinct.groupBy("row").sum("often")
        self._kept = rows.mapInArrow(_blocks, "codes binary, weights binary").persist()

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
        """Return these rows."""
        return self

    def close(self) -> None:
        """Free the merged rows."""
        self._kept.unpersist()


def _blocks(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        codes = b"".join(batch.column(0).to_pylist())
        often = np.asarray(batch.column(1)).astype("<i8").tobytes()
        yield pa.RecordBatch.from_pydict({"codes": [codes], "weights": [often]})


def _sum_of(
    function: Callable[..., Summands],
    parameters: tuple[Any, ...],
    width: int,
    batches: Iterator[pa.RecordBatch],
) -> Arrays:
    def parts() -> Iterator[Summands]:
        for row in (row for batch in batches for row in batch.to_pylist()):
            codes = np.frombuffer(row["codes"], "<i2").reshape(-1, width)
            yield from sums_of_merged(
                function, parameters, codes, np.frombuffer(row["weights"], "<i8")
            )
        yield function(np.zeros((0, width), np.int16), *parameters)

    return sum_in_order(parts())


def sums_of_merged(
    function: Callable[..., Summands],
    parameters: Sequence[Any],
    codes: Codes,
    weights: npt.NDArray[np.int64],
) -> Iterator[Summands]:
    """Yield what a function returns for distinct rows, as often as they occur or are chosen."""
    while isinstance(function, OfChosen):
        weights = function.often(codes, weights)
        codes, weights = codes[weights > 0], weights[weights > 0]
        function = function.function
    for block in repeated_blocks(codes, weights):
        yield function(block, *parameters)
