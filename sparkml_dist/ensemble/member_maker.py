"""Fits, stores and applies the members of a sequence, inside the task that needs them in turn."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.cluster.memory import PeakMemory
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.errors import SparkMLDistError, TrainingError
from sparkml_dist.learners.fitting import MEMBERS, fit_learner, member_traits, store_member
from sparkml_dist.learners.known_learner import KnownLearner
from sparkml_dist.learners.learner import Traits
from sparkml_dist.members.sampling import member_seed
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.learners import load_learner

__all__ = ["MemberMaker"]


@dataclass(frozen=True)
class MemberMaker:
    """Makes copies of one learner into members; sent to tasks.

    Attributes
    ----------
    data : PartitionedDataset
    folder : Folder
        The model's folder.
    learner : KnownLearner
    seed : int
    trusted : tuple of str
        Types that member files may contain in addition to the allow-list.
    cores : int
        Number of cores of a task.
    """

    data: PartitionedDataset
    folder: Folder
    learner: KnownLearner
    seed: int
    trusted: tuple[str, ...]
    cores: int

    @property
    def traits(self) -> Traits:
        """The properties of the learner."""
        return self.learner.traits

    @property
    def n_classes(self) -> int:
        """Number of classes of the whole data set."""
        return len(self.data.manifest.label.classes)

    def fit(
        self,
        number: int,
        shards: Sequence[int],
        X: Any,
        y: npt.NDArray[Any],
        weight: npt.NDArray[np.float64] | None,
        *,
        key: npt.NDArray[np.int64],
        rows: int,
        memory: PeakMemory,
    ) -> Any:
        """Fit and commit a member; return the fitted learner.

        Parameters
        ----------
        number : int
            Number of the member.
        shards : sequence of int
            Shards of its rows.
        X : ndarray or csr_matrix, shape (n, d)
            In the form that the learner takes.
        y : ndarray of shape (n,)
        weight : ndarray of shape (n,), or None
        key : ndarray of int64, shape (n,)
            Row keys.
        rows : int
            How many rows it was drawn from.
        memory : PeakMemory
            Of the task.

        Raises
        ------
        TrainingError
            ``member_failed``, naming the member and its shards.
        """
        import skops.io  # noqa: F401 - its memory counts as the base, not as the member's

        start = time.perf_counter()
        traits = self.traits
        ready = self.learner.prepared(member_seed(self.seed, number), self.cores)
        try:
            fitted, seconds, caught = fit_learner(ready, X, y, weight, traits, key)
        except (SparkMLDistError, OSError, MemoryError):
            raise
        except Exception as error:
            raise _failed(number, shards, error) from error
        record = {
            "member": number,
            "learner": traits.name,
            "shards": list(shards),
            "rows": rows,
            "bag_rows": len(y),
            **member_traits(traits, None),
            "seconds": round(seconds, 4),
            "task_seconds": round(time.perf_counter() - start, 4),
            "block_bytes": _size(X),
            "base_rss": memory.base,
            "peak_rss": memory.so_far(),
            "warnings": caught,
        }
        store_member(self.folder, _stem(number), fitted, record, trusted=self.trusted)
        return fitted

    def predict(
        self, member: Any, number: int, shards: Sequence[int], X: Any
    ) -> npt.NDArray[np.int32]:
        """Return the class codes that a member predicts, shape (n,).

        Raises
        ------
        TrainingError
            ``member_failed``, naming the member and its shards.
        """
        try:
            return np.asarray(member.predict(X)).astype(np.int32)
        except (OSError, MemoryError):
            raise
        except Exception as error:
            raise _failed(number, shards, error) from error

    def record(self, number: int) -> dict[str, Any]:
        """Return the record of a committed member."""
        found: dict[str, Any] = self.folder.child(MEMBERS).read_json(f"{_stem(number)}.json")
        return found

    def load_member(self, record: dict[str, Any]) -> Any:
        """Load a committed member."""
        name = record["file"]
        content = self.folder.read_bytes(name)
        return load_learner(content, self.folder.uri(name), trusted=self.trusted)


def _failed(number: int, shards: Sequence[int], error: Exception) -> TrainingError:
    return TrainingError(
        "member_failed",
        f"Member {number} on shard(s) {', '.join(map(str, shards))} failed: "
        f"{type(error).__name__}: {error}",
        "Earlier members are committed: with modelDir and resume=True they are kept.",
    )


def _stem(number: int) -> str:
    return f"member-{number:05d}"


def _size(X: Any) -> int:
    parts = (X,) if isinstance(X, np.ndarray) else (X.data, X.indices, X.indptr)
    return int(sum(p.nbytes for p in parts))
