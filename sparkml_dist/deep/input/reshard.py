"""Rows of a table that lies in parts, as another number of owners holds them; numpy only."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.deep.embedding.marks import Shard

__all__ = ["take_rows"]


def take_rows(
    target: npt.NDArray[Any], wanted: Shard, part: npt.NDArray[Any], stored: Shard
) -> None:
    """Copy the rows that two shards of a table have in common.

    Parameters
    ----------
    target : ndarray, shape (>= len(wanted), ...)
        Gets them, in place.
    wanted : Shard
        Which rows of the table `target` holds.
    part : ndarray, shape (>= len(stored), ...)
        What a former owner held.
    stored : Shard
        Which rows of the table these are.
    """
    rows = np.arange(stored.index, stored.rows, stored.owners)
    source = np.flatnonzero(rows % wanted.owners == wanted.index)
    target[rows[source] // wanted.owners] = part[source]
