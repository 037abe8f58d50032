"""Spark UDFs over the Arrow batches of a column."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from pyspark.sql import Column

__all__ = ["iterator_udf"]


def iterator_udf(
    function: Callable[[Iterator[pa.Array]], Iterator[pa.Array]], kind: str
) -> Callable[[Column], Column]:
    """Return a function of columns from a function of their batches.

    Parameters
    ----------
    function : callable
        Takes an iterator over the batches of a partition, and yields an array of as many rows for
        each, or for several of them together.
    kind : str
        Type of the result, as Spark writes it.
    """
    from pyspark.sql import functions as F

    def run(batches: Iterator[pa.Array]) -> Iterator[pa.Array]:
        return function(batches)

    # Spark recognises an iterator over batches by these annotations; strings would not do.
    run.__annotations__ = {"batches": Iterator[pa.Array], "return": Iterator[pa.Array]}
    udf: Callable[[Column], Column] = F.arrow_udf(run, kind)  # type: ignore[attr-defined]
    return udf
