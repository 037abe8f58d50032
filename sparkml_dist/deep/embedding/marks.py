"""Marks the variables of which each rank holds other rows; imports no TensorFlow.

What couples ranks must leave marked variables alone: they are not broadcast, not compared, and
their gradients are not reduced. The gradient of a marked variable is, as it leaves the tape, the
mean over all ranks already (the sum that an owner got from all ranks, divided by their number), so
that it takes the same factor as the reduced gradients of the others.
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
    """The rows that one owner of a table holds: ``index``, ``index + owners``, and so on.

    Attributes
    ----------
    rows : int
        Rows of the whole table.
    index : int
        Number of this owner among the table's owners.
    owners : int
        How many share the table.
    replica : int
        Which copy of the table it belongs to, where groups of ranks have a copy each.
    """

    rows: int
    index: int
    owners: int
    replica: int = 0

    def __len__(self) -> int:
        return len(range(self.index, self.rows, self.owners))


def mark(variable: Any, shard: Shard) -> None:
    """Note on a variable which rows of a table it holds."""
    setattr(variable, _ATTRIBUTE, shard)


def mark_slots(optimizer: Any, variables: Sequence[Any]) -> None:
    """Mark those of a built optimizer's own variables that belong to a marked variable.

    Parameters
    ----------
    optimizer : keras.Optimizer
        Built on `variables`.
    variables : sequence of keras.Variable
        What it trains.
    """
    marked = [v for v in variables if shard_of(v) is not None]
    for slot in optimizer.variables:
        for variable in marked:
            # Keras names a slot after the variable that it belongs to, and after nothing else.
            prefix = variable.path.replace("/", "_") + "_"
            if slot.path.split("/")[-1].startswith(prefix) and slot.shape == variable.shape:
                mark(slot, shard_of(variable))  # type: ignore[arg-type]


def shard_of(variable: Any) -> Shard | None:
    """Return which rows of a table a variable holds; None where it is whole."""
    found: Shard | None = getattr(variable, _ATTRIBUTE, None)
    return found


def sharded_over_ranks(variable: Any) -> bool:
    """Tell whether other ranks hold other rows of what a variable is a part of."""
    return shard_of(variable) is not None


def count_parameters(model: Any) -> int:
    """Return how many numbers a model's weights are, those on other ranks among them."""
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
