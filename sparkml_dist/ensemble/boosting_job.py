"""What all tasks of a boosting fit need to know, and how they fit one round's member."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.cluster.memory import PeakMemory
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.ensemble.bags import member_seed
from sparkml_dist.ensemble.fitting import fit_learner, member_traits, store_member
from sparkml_dist.ensemble.learner import Traits, prepare
from sparkml_dist.ensemble.waves import Stopping
from sparkml_dist.ensemble.weighted_rows import weighted_rows
from sparkml_dist.errors import SparkMLDistError, TrainingError
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.learners import load_learner

__all__ = ["BoostingJob", "WeightedRows"]


@dataclass(frozen=True)
class WeightedRows:
    """Rows that a round's member learns from.

    Attributes
    ----------
    X : ndarray or csr_matrix, shape (n, d)
        As the learner takes it.
    y : ndarray of shape (n,)
    weight : ndarray of float64, shape (n,)
    key : ndarray of int64, shape (n,)
    """

    X: Any
    y: npt.NDArray[Any]
    weight: npt.NDArray[np.float64]
    key: npt.NDArray[np.int64]


@dataclass(frozen=True)
class BoostingJob:
    """A boosting fit as it travels to tasks.

    Attributes
    ----------
    data : PartitionedDataset
    folder : Folder
        The model's folder.
    learner : scikit-learn classifier
        Unfitted.
    rounds : int
        Most members of one sequence.
    rate : float
        Learning rate.
    seed : int
    stopping : Stopping or None
        When to stop before all rounds are done, and the rows kept for it.
    trusted : tuple of str
        Types that member files may contain beside the allow-list.
    cores : int
        Cores of a task.
    """

    data: PartitionedDataset
    folder: Folder
    learner: Any
    rounds: int
    rate: float
    seed: int
    stopping: Stopping | None = None
    trusted: tuple[str, ...] = ()
    cores: int = 1

    @property
    def n_classes(self) -> int:
        """Number of classes in the whole data set."""
        return len(self.data.manifest.label.classes)

    def learns(self, key: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Tell which rows members may learn from, shape (n,)."""
        if self.stopping is None:
            return np.ones(len(key), bool)
        return ~self.stopping.kept.mask(key)

    def fit_member(
        self, number: int, shards: Sequence[int], rows: WeightedRows, memory: PeakMemory
    ) -> Any:
        """Fit and commit the member of a round; return it.

        Raises
        ------
        TrainingError
            ``member_failed``, naming the round.
        """
        import skops.io  # noqa: F401 - what the members are written with belongs to the base

        start = time.perf_counter()
        traits = Traits.of(self.learner)
        categories = self.data.schema.category_counts(None)
        random_state = member_seed(self.seed, number)
        ready = prepare(self.learner, random_state, self.cores, categories=categories)
        X, y, weight = weighted_rows(
            rows.X, rows.y, rows.weight, rows.key, traits, self.seed, number
        )
        try:
            fitted, seconds, caught = fit_learner(ready, X, y, weight, traits)
        except (SparkMLDistError, OSError, MemoryError):
            raise
        except Exception as error:
            raise _failed(number, shards, error) from error
        record = {
            "member": number,
            "learner": traits.name,
            "shards": list(shards),
            "rows": len(rows.y),
            "bag_rows": len(y),
            **member_traits(traits, None),
            "seconds": round(seconds, 4),
            "task_seconds": round(time.perf_counter() - start, 4),
            "block_bytes": _size(rows.X),
            "base_rss": memory.base,
            "peak_rss": memory.so_far(),
            "warnings": caught,
        }
        store_member(self.folder, stem(number), fitted, record, trusted=self.trusted)
        return fitted

    def predict(
        self, member: Any, number: int, shards: Sequence[int], X: Any
    ) -> npt.NDArray[np.int32]:
        """Return the class codes that a member predicts, shape (n,).

        Raises
        ------
        TrainingError
            ``member_failed``, naming the round.
        """
        try:
            return np.asarray(member.predict(X)).astype(np.int32)
        except (OSError, MemoryError):
            raise
        except Exception as error:
            raise _failed(number, shards, error) from error

    def load_member(self, record: dict[str, Any]) -> Any:
        """Return a committed member."""
        name = record["file"]
        content = self.folder.read_bytes(name)
        return load_learner(content, self.folder.uri(name), trusted=self.trusted)


def _failed(number: int, shards: Sequence[int], error: Exception) -> TrainingError:
    return TrainingError(
        "member_failed",
        f"Member {number} on shard(s) {', '.join(map(str, shards))} failed: "
        f"{type(error).__name__}: {error}",
        "The members before it are committed: with modelDir and resume=True they stay.",
    )


def stem(number: int) -> str:
    """Return the name of a member's files without suffix."""
    return f"member-{number:05d}"


def _size(X: Any) -> int:
    parts = (X,) if isinstance(X, np.ndarray) else (X.data, X.indices, X.indptr)
    return int(sum(p.nbytes for p in parts))
