"""The members' outputs on validation rows: written beside the shards, read by one task."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.cluster.tasks import run_tasks
from sparkml_dist.dataset.hashing import uniform
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.dataset.subsets import Validation
from sparkml_dist.errors import DataError
from sparkml_dist.members.bank import LoadedMembers, MemberBank
from sparkml_dist.models.scoring import loaded
from sparkml_dist.persistence.arrays import read_array, write_array
from sparkml_dist.persistence.filesystem import Folder

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = [
    "HELD_OUT",
    "HeldOut",
    "HeldOutRows",
    "evaluation_shards",
    "outputs_type",
    "write_held_out",
]

HELD_OUT = "held-out"
# With this many rows a score is exact to about 0.005; shards are read until there are enough.
_ENOUGH_ROWS = 10_000


def outputs_type(data: PartitionedDataset) -> np.dtype[Any]:
    """Return the type in which members' outputs are kept: single precision of probabilities.

    Single precision of a regression's predictions would lose all differences between labels such as
    seconds since 1970.

    Parameters
    ----------
    data : PartitionedDataset
    """
    return np.dtype(np.float64 if data.manifest.label.is_regression else np.float32)


@dataclass(frozen=True)
class HeldOutRows:
    """Validation rows in memory, with the members' outputs.

    Attributes
    ----------
    outputs : ndarray of shape (n, n_members, n_classes), or (n, n_members)
        Probabilities in single precision, or predictions of a regression in double precision.
    y : ndarray of shape (n,)
        Class codes or targets.
    weight : ndarray of shape (n,)
    """

    outputs: npt.NDArray[Any]
    y: npt.NDArray[Any]
    weight: npt.NDArray[np.float64]


@dataclass(frozen=True)
class HeldOut:
    """The members' outputs on validation rows, by shard.

    Attributes
    ----------
    data : PartitionedDataset
    home : Folder
        Folder of the arrays.
    bank : MemberBank
    validation : Validation
        The validation rows, held out from every member.
    share : float
        Share of them to use, by hashed key.
    together : bool
        Whether all members fit in a task at once; if so, a worker loads them once for all its
        tasks.
    """

    data: PartitionedDataset
    home: Folder
    bank: MemberBank
    validation: Validation
    share: float
    together: bool = False

    @classmethod
    def of(
        cls,
        data: PartitionedDataset,
        home: Folder,
        bank: MemberBank,
        validation: Validation,
        memory: int,
    ) -> HeldOut:
        """Use as many validation rows as one task can hold, with all members' outputs.

        Parameters
        ----------
        memory : int
            Bytes of a task; a third of them is for the outputs. In a regression all rows are used,
            because their outputs are only added up, shard by shard.
        """
        together = bank.size() <= memory // 3
        if not bank.n_classes:
            return cls(data, home, bank, validation, 1.0, together)
        row_bytes = 4 * len(bank.members) * bank.n_classes
        expected = data.n_rows * validation.fraction * row_bytes
        return cls(
            data, home, bank, validation, min(1.0, memory / 3 / max(expected, 1.0)), together
        )

    def __call__(self, shard: int) -> dict[str, Any]:
        """Write the members' outputs on a shard's validation rows, in a task."""
        stem = f"shard-{shard:05d}"
        if self.home.exists(f"{stem}.json"):
            done: dict[str, Any] = self.home.read_json(f"{stem}.json")
            return done
        parts, labels, weights = [], [], []
        for group in range(len(self.data.shards[shard].row_groups)):
            block = self.data.read_block(shard, [group])
            chosen = self.validation.mask(block.key)
            if self.share < 1.0:
                chosen &= uniform(block.key, self.validation.seed, "held out") < self.share
            rows = np.flatnonzero(chosen)
            if len(rows):
                parts.append(block.X[rows])
                labels.append(block.y[rows])
                weights.append(np.ones(len(rows)) if block.weight is None else block.weight[rows])
        n = sum(map(len, labels))
        seconds = 0.0
        if n:
            outputs, seconds = self._outputs(parts, n)
            write_array(self.home, f"{stem}.npy", outputs)
            write_array(self.home, f"{stem}-y.npy", np.concatenate(labels))
            write_array(self.home, f"{stem}-weight.npy", np.concatenate(weights).astype(float))
        found = {"rows": n, "predict_seconds": round(seconds, 4)}
        self.home.write_json(f"{stem}.json", found)
        return found

    def _outputs(self, parts: list[Any], rows: int) -> tuple[npt.NDArray[Any], float]:
        """Return the members' outputs on rows, and the seconds that predicting took."""
        k, seconds = self.bank.n_classes, 0.0
        shape = (rows, len(self.bank.members), *([k] if k else []))
        outputs = np.zeros(shape, outputs_type(self.data))
        for m in range(len(self.bank.members)):  # one in memory at a time, unless all fit
            member = self._member(m)
            start, at = time.perf_counter(), 0
            for X in parts:
                votes = np.zeros((X.shape[0], k) if k else X.shape[0])
                for _ in member.add_probabilities(X, votes) if k else member.add_values(X, votes):
                    pass
                outputs[at : at + len(votes), m] = votes
                at += len(votes)
            seconds += time.perf_counter() - start
        return outputs, seconds

    def _member(self, index: int) -> LoadedMembers:
        bank = replace(self.bank, members=(self.bank.members[index],))
        if not self.together:
            return bank.load()
        members: dict[int, LoadedMembers] = loaded(f"held out {self.bank.cache_key}", dict)
        if index not in members:
            members[index] = bank.load()
        return members[index]

    def read(self, shards: int | None = None) -> HeldOutRows:
        """Return the validation rows of all shards, or of one."""
        wanted = range(len(self.data.shards)) if shards is None else [shards]
        stems = [f"shard-{s:05d}" for s in wanted]
        sizes = [self.home.read_json(f"{s}.json")["rows"] for s in stems]
        found = [(s, n) for s, n in zip(stems, sizes, strict=True) if n]
        if not found:
            raise DataError(
                "no_validation_rows",
                "No row is held out from the members.",
                "Raise validationFraction, or use fewer columns as the key.",
            )
        return HeldOutRows(
            np.concatenate([read_array(self.home, f"{s}.npy", rows=n) for s, n in found]),
            np.concatenate([read_array(self.home, f"{s}-y.npy", rows=n) for s, n in found]),
            np.concatenate([read_array(self.home, f"{s}-weight.npy", rows=n) for s, n in found]),
        )


def write_held_out(spark: SparkSession, held_out: HeldOut) -> tuple[int, float]:
    """Write the members' outputs on validation rows, with one task per shard.

    Returns the number of rows, and the seconds that the members' predictions took over all tasks.
    """
    shards = range(len(held_out.data.shards))
    outcomes = run_tasks(spark, shards, held_out, description="predict validation rows")
    for outcome in outcomes:
        if outcome.error:
            raise outcome.error
    found = [o.result for o in outcomes]
    return sum(f["rows"] for f in found), sum(f["predict_seconds"] for f in found)


def evaluation_shards(data: PartitionedDataset, fraction: float) -> tuple[int, ...]:
    """Return the first shards, as few as hold enough held-out rows, or all."""
    expected = 0.0
    for shard in data.shards:
        expected += shard.rows * fraction
        if expected >= _ENOUGH_ROWS:
            return tuple(range(shard.index + 1))
    return tuple(range(len(data.shards)))
