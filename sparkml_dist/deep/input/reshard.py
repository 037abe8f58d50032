"""Redistributes the rows of a sharded table to another number of owners; numpy only."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.deep.embedding.marks import Shard

__all__ = ["take_rows"]


def take_rows(
    target: npt.NDArray[Any], wanted: Shard, part: npt.NDArray[Any], stored: Shard
) -> None:
    """Copy the rows that two shards of a table share.

    Parameters
    ----------
    target : ndarray, shape (>= len(wanted), ...)
        Receives the rows, in place.
    wanted : Shard
        The rows of the table in `target`.
    part : ndarray, shape (>= len(stored), ...)
        Rows of a former owner.
    stored : Shard
        The rows of the table in `part`.
    """
    rows = np.arange(stored.index, stored.rows, stored.owners)
    source = np.flatnonzero(rows % wanted.owners == wanted.index)
    target[rows[source] // wanted.owners] = part[source]
