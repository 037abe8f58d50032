"""Joins small Arrow batches of a worker."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

__all__ = ["joined_batches"]


def joined_batches(batches: Iterator[pa.Array], least: int) -> Iterator[pa.Array]:
    """Join small batches until they have `least` rows; larger ones pass unchanged.

    Spark passes as many rows at a time as its cache or its setting holds, which may be 10,000.
    The cost of each call per batch would be too high for so few rows.

    Parameters
    ----------
    batches : iterator of pyarrow.Array
    least : int
        Least number of rows of each array but the last.

    Yields
    ------
    pyarrow.Array
    """
    held: list[pa.Array] = []
    rows = 0
    for batch in batches:
        held.append(batch)
        rows += len(batch)
        if rows >= least:
            yield held[0] if len(held) == 1 else pa.concat_arrays(held)
            held, rows = [], 0
    if held:
        yield held[0] if len(held) == 1 else pa.concat_arrays(held)
