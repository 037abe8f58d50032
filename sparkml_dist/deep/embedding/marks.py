"""Marks variables of which each rank holds other rows; imports no TensorFlow.

Marked variables are excluded when ranks are coupled: they are not broadcast, not compared, and
their gradients are not reduced. The gradient of a marked variable is already the mean over all
ranks when it leaves the tape (the owner's sum over all ranks, divided by their number), so that it
takes the same factor as the reduced gradients of other variables.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "Shard",
    "count_parameters",
    "mark",
    "mark_slots",
    "shard_of",
    "sharded_over_ranks",
    "take_rows",
]

_ATTRIBUTE = "_sparkml_dist_shard"


@dataclass(frozen=True)
class Shard:
    """The rows of one owner of a table: ``index``, ``index + owners``, and so on.

    Attributes
    ----------
    rows : int
        Number of rows of the whole table.
    index : int
        Number of this owner among the table's owners.
    owners : int
        Number of the table's owners.
    replica : int
        The copy of the table, when groups of ranks have a copy each.
    """

    rows: int
    index: int
    owners: int
    replica: int = 0

    def __len__(self) -> int:
        return len(range(self.index, self.rows, self.owners))


def mark(variable: Any, shard: Shard) -> None:
    """Mark a variable with the rows of a table that it holds."""
    setattr(variable, _ATTRIBUTE, shard)


def mark_slots(optimizer: Any, variables: Sequence[Any]) -> None:
    """Mark a built optimizer's own variables that belong to a marked variable.

    Parameters
    ----------
    optimizer : keras.Optimizer
        Built on `variables`.
    variables : sequence of keras.Variable
        The variables that it trains.
    """
    marked = [v for v in variables if shard_of(v) is not None]
    for slot in optimizer.variables:
        for variable in marked:
            # Keras names a slot after its variable.
            prefix = variable.path.replace("/", "_") + "_"
            if slot.path.split("/")[-1].startswith(prefix) and slot.shape == variable.shape:
                mark(slot, shard_of(variable))  # type: ignore[arg-type]


def shard_of(variable: Any) -> Shard | None:
    """Return the rows of a table that a variable holds; None for an unmarked variable."""
    found: Shard | None = getattr(variable, _ATTRIBUTE, None)
    return found


def sharded_over_ranks(variable: Any) -> bool:
    """Tell whether other ranks hold other rows of a variable's table."""
    return shard_of(variable) is not None


def count_parameters(model: Any) -> int:
    """Return the number of a model's parameters, including those on other ranks."""
    total = 0
    for variable in model.weights:
        shard = shard_of(variable)
        rows = variable.shape[:1] if shard is None else (shard.rows,)
        total += math.prod((*rows, *variable.shape[1:]))
    return total


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
