"""Finds this rank's part of a table, and the ranks that share the table."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import Any

from sparkml_dist.errors import ConfigurationError

__all__ = ["Place", "horovod", "place_in_table"]

_sets: dict[tuple[int, ...], Any] = {}


@dataclass(frozen=True)
class Place:
    """A rank's place among the owners of a table.

    Attributes
    ----------
    index, owners : int
        Number of this rank among the owners, and number of owners.
    replica : int
        The copy of the table, when groups of ranks have one each.
    ranks : int
        Number of ranks in the training.
    group : ProcessSet or None
        The owners of this copy; None for all ranks.
    peers : ProcessSet or None
        The ranks with the same rows of the other copies; None for a single copy.
    """

    index: int
    owners: int
    replica: int
    ranks: int
    group: Any
    peers: Any


def horovod() -> Any:
    """Return ``horovod.tensorflow`` if this process is one of several ranks, else None.

    A process that has not imported Horovod is not a rank; Horovod is not imported here.
    """
    hvd = sys.modules.get("horovod.tensorflow")
    return hvd if hvd is not None and hvd.is_initialized() and hvd.size() > 1 else None


def place_in_table(ranks_per_table: int | None, name: str) -> Place | None:
    """Return this rank's place; None when one process holds the whole table.

    All ranks must call this with the same arguments, because process groups are created on all.

    Parameters
    ----------
    ranks_per_table : int, optional
        Number of ranks that share one copy; all by default.
    name : str
        Name of the layer, for errors.

    Raises
    ------
    ConfigurationError
        ``invalid_param`` unless it divides the number of ranks; ``no_process_sets`` when Horovod
        may not create process sets.
    """
    hvd = horovod()
    if hvd is None:
        return None
    rank, ranks = hvd.rank(), hvd.size()
    owners = ranks if ranks_per_table is None else ranks_per_table
    if ranks % owners:
        raise ConfigurationError(
            "invalid_param",
            f"ranks_per_table of the layer {name!r} must divide the number of ranks, {ranks}. "
            f"Got {owners}.",
        )
    if owners == ranks:
        return Place(rank, ranks, 0, ranks, None, None)
    if os.environ.get("HOROVOD_DYNAMIC_PROCESS_SETS") not in ("1", "true"):
        raise ConfigurationError(
            "no_process_sets",
            f"The layer {name!r} needs a table for each {owners} ranks, but Horovod may not create "
            "process sets dynamically.",
            "Submit with --conf spark.executorEnv.HOROVOD_DYNAMIC_PROCESS_SETS=1.",
        )
    replica, index = divmod(rank, owners)
    groups = [range(r * owners, (r + 1) * owners) for r in range(ranks // owners)]
    peers = [range(i, ranks, owners) for i in range(owners)]
    # Every rank takes part in creating every set, in the same order.
    founded = [_process_set(hvd, tuple(members)) for members in (*groups, *peers)]
    return Place(index, owners, replica, ranks, founded[replica], founded[len(groups) + index])


def _process_set(hvd: Any, members: tuple[int, ...]) -> Any:
    # Each set can be added once, the global one exists already, and a single rank needs none.
    if len(members) == 1:
        return None
    if len(members) == hvd.size():
        return hvd.global_process_set
    if members not in _sets:
        _sets[members] = hvd.add_process_set(list(members))
    return _sets[members]
