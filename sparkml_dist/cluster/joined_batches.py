"""Batches of a worker, joined until there are rows enough."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

__all__ = ["joined_batches"]


def joined_batches(batches: Iterator[pa.Array], least: int) -> Iterator[pa.Array]:
    """Join small batches into larger ones; a large one passes as it is.

    Spark hands over as many rows as its cache keeps together, or its setting says, which may be
    10,000; what is done with a batch has a cost for each call that so few rows would multiply.

    Parameters
    ----------
    batches : iterator of pyarrow.Array
    least : int
        Rows of each array but the last.

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
