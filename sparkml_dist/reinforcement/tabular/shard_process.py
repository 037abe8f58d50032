"""Values of a decision process whose transitions stay in shards: each sweep is a sum over them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.cluster.sums.over_shards import sum_over_shards
from sparkml_dist.cluster.tasks import run_tasks
from sparkml_dist.models.scoring import loaded
from sparkml_dist.persistence.arrays import read_array, write_array
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.reinforcement.tabular.cells import Cells
from sparkml_dist.reinforcement.tabular.exact_sums import joined, split_values
from sparkml_dist.reinforcement.tabular.grouped_counts import missing_state
from sparkml_dist.reinforcement.tabular.state_table import StateTable
from sparkml_dist.reinforcement.transition_dataset import TransitionDataset

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["ShardProcess"]

Floats = npt.NDArray[np.float64]
_STATES = "states.npy"
# Room below 2**31 for the products of weights, discounts and values.
_ROOM = 30


@dataclass(frozen=True)
class _Pairs:
    """Adds up what follows each pair of state and action in a shard."""

    data: TransitionDataset
    folder: Folder
    cells: Cells | None
    discount: float

    def table(self) -> StateTable:
        """Return the states, once in a worker."""
        found: StateTable = loaded(
            self.folder.location, lambda: StateTable(read_array(self.folder, _STATES))
        )
        return found

    def __call__(self, shard: int, values: Floats | None, exponent: int) -> dict[str, Any]:
        """Return the two words of each sum, shape (n_states * n_actions,).

        Of weight × discount × value of the next state; or, without values, of ``reward`` × weight
        and of ``weight``, with that of the ``first`` rows of episodes by state.
        """
        table, n_actions = self.table(), self.data.schema.n_actions
        size = len(table) * n_actions
        sums: dict[str, Any] = {}
        for block in self.data.blocks(shard):
            block = block.take(block.usable)
            state = table.find(block.state if self.cells is None else self.cells(block.state))
            pair = state * n_actions + block.action
            weight = block.weights()
            if values is None:
                parts = {"reward": weight * block.reward, "weight": weight}
            else:
                rows = np.flatnonzero(block.has_next)
                after = block.next_state[rows]
                follows = table.find(after if self.cells is None else self.cells(after))
                pair, weight = pair[rows], weight[rows]
                parts = {"": weight * block.discounts(self.discount)[rows] * values[follows]}
            if values is None:
                firsts = split_values(weight * block.first, exponent)
                for i, word in enumerate(firsts, 1):
                    total = np.bincount(state, word, len(table)).astype(np.int64)
                    sums[f"first{i}"] = sums.get(f"first{i}", 0) + total
            for name, part in parts.items():
                for i, word in enumerate(split_values(part, exponent), 1):
                    total = np.bincount(pair, word, size).astype(np.int64)
                    sums[f"{name}{i}"] = sums.get(f"{name}{i}", 0) + total
        return sums


class ShardProcess:
    """A process whose states fit the driver, and whose transitions need not.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    data : TransitionDataset
    cells : Cells or None
    discount : float
    folder : Folder
        For the list of states, which tasks read.

    Attributes
    ----------
    table : StateTable
    count, reward : ndarray of float64, shape (n_states, n_actions)
        Weight of each pair, and mean reward.
    start : ndarray of float64, shape (n_states,)
        Share of the episodes that begin in a state.
    """

    def __init__(
        self,
        spark: SparkSession,
        data: TransitionDataset,
        cells: Cells | None,
        discount: float,
        folder: Folder,
    ) -> None:
        self._spark, self._data = spark, data
        self._pairs = _Pairs(data, folder, cells, discount)
        self.table = _listed(spark, data, cells, folder)
        self._shape = (len(self.table), data.schema.n_actions)
        found = _results(spark, data, partial(_largest, data), "look at rewards")
        self._heaviest = max(r["weight"] for r in found)
        exponent = _ROOM - math.ceil(math.log2(max(1.0, *(r["product"] for r in found))))
        sums = self._sums(None, exponent)
        self.count = joined(sums["weight1"], sums["weight2"], exponent).reshape(self._shape)
        total = joined(sums["reward1"], sums["reward2"], exponent).reshape(self._shape)
        self._weight = np.where(self.count > 0, self.count, 1.0)
        self.reward = total / self._weight
        first = joined(sums["first1"], sums["first2"], exponent)
        self.start = first / (first.sum() or 1.0)

    def _sums(self, values: Floats | None, exponent: int) -> Any:
        return sum_over_shards(
            self._spark,
            len(self._data.shards),
            self._pairs,
            (values, exponent),
            description="sum over transitions",
        )

    def values(self, following: Floats) -> Floats:
        """Return mean reward plus discounted value of what follows, shape (n_states, n_actions)."""
        largest = float(np.abs(following).max(initial=0.0)) * self._heaviest
        if largest == 0:
            return self.reward.copy()
        exponent = _ROOM - math.ceil(math.log2(largest))
        sums = self._sums(following, exponent)
        total = joined(sums["1"], sums["2"], exponent).reshape(self._shape)
        found: Floats = self.reward + total / self._weight
        return found


def _largest(data: TransitionDataset, shard: int) -> dict[str, Any]:
    """Return the largest weight of a shard, and the largest weight × reward or weight × 1."""
    heaviest = product = 0.0
    for block in data.blocks(shard):
        weight = block.weights()
        products = weight * np.maximum(np.abs(block.reward), 1.0)
        heaviest = max(heaviest, float(weight.max(initial=0.0)))
        product = max(product, float(products.max(initial=0.0)))
    return {"weight": heaviest, "product": product}


def _listed(
    spark: SparkSession, data: TransitionDataset, cells: Cells | None, folder: Folder
) -> StateTable:
    """Return all states; tasks list those of their shards in files."""

    def list_states(shard: int) -> dict[str, Any]:
        parts = []
        for block in data.blocks(shard):
            usable = block.usable
            rows = np.concatenate([block.state[usable], block.next_state[block.has_next]])
            if np.isnan(rows).any():
                raise missing_state()
            parts.append(StateTable(rows if cells is None else cells(rows)).states)
        write_array(folder, f"states-{shard}.npy", StateTable(np.concatenate(parts)).states)
        return {}

    _results(spark, data, list_states, "list states")
    shards = range(len(data.shards))
    table = StateTable(np.concatenate([read_array(folder, f"states-{s}.npy") for s in shards]))
    write_array(folder, _STATES, table.states)
    return table


def _results(
    spark: SparkSession,
    data: TransitionDataset,
    work: Callable[[int], dict[str, Any]],
    description: str,
) -> list[dict[str, Any]]:
    outcomes = run_tasks(spark, range(len(data.shards)), work, description=description)
    for outcome in outcomes:
        if outcome.error:
            raise outcome.error
    return [o.result for o in outcomes]
