"""One member of an ensemble of independent members: a task fits it on its shards and commits it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparkml_dist.cluster.memory import PeakMemory
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.dataset.subsets import Subset
from sparkml_dist.learners.fitting import fit_learner, member_traits, store_member
from sparkml_dist.learners.known_learner import KnownLearner
from sparkml_dist.members.bag import Bag, Draw
from sparkml_dist.members.sampling import Sampling, member_seed
from sparkml_dist.models.scoring import drop_loaded
from sparkml_dist.persistence.filesystem import Folder

__all__ = ["MemberFit", "MemberPlan"]


@dataclass(frozen=True)
class MemberPlan:
    """Everything that determines a member.

    Attributes
    ----------
    index : int
        Position in the ensemble.
    learner : int
        Index among the ensemble's learners.
    shards : tuple of int
        Shards that it learns from.
    sampling : Sampling
        How its rows and features are drawn from them.
    without : Subset or None
        Rows excluded from the member's bag.
    """

    index: int
    learner: int
    shards: tuple[int, ...]
    sampling: Sampling
    without: Subset | None = None

    @property
    def stem(self) -> str:
        """Name of the member's files without suffix."""
        return f"member-{self.index:05d}"


@dataclass(frozen=True)
class MemberFit:
    """Fits members inside tasks.

    Attributes
    ----------
    data : PartitionedDataset
    folder : Folder
        The model's folder.
    learners : tuple of KnownLearner
    plans : sequence of MemberPlan
    seed : int
    trusted : tuple of str
        Types that member files may contain in addition to the allow-list.
    cores : int
        Number of cores of a task.
    """

    data: PartitionedDataset
    folder: Folder
    learners: tuple[KnownLearner, ...]
    plans: Sequence[MemberPlan]
    seed: int
    trusted: tuple[str, ...]
    cores: int

    def __call__(self, index: int) -> dict[str, Any]:
        """Fit and commit member `index`; return its record."""
        import skops.io  # noqa: F401 - its memory counts as the base, not as the member's

        start = time.perf_counter()
        drop_loaded()
        plan = self.plans[index]
        learner = self.learners[plan.learner]
        traits = learner.traits
        with PeakMemory() as memory:
            features = plan.sampling.features(self.data.n_features, self.seed, plan.index)
            chosen = None if features is None else features.tolist()
            block = self.data.read_block(plan.shards, features=chosen, dtype=np.dtype(traits.dtype))
            bag = Bag.of(block, Draw(plan.index, self.seed, plan.sampling, plan.without), traits)
            rows, block_bytes = len(block), block.nbytes
            del block  # a bag of repeated rows is a copy: free the original before the fit
            ready = learner.prepared(member_seed(self.seed, plan.index), self.cores, chosen)
            fitted, seconds, caught = fit_learner(ready, bag.X, bag.y, bag.weight, traits, bag.key)
            record = {
                "member": plan.index,
                "learner": traits.name,
                "learner_index": plan.learner,
                "shards": list(plan.shards),
                "rows": rows,
                "bag_rows": bag.rows,
                **member_traits(traits, features),
                "class_rates": bag.draw.class_rates,
                "mean_weight": bag.draw.mean_weight,
                "everything": bag.draw.everything,
                "seconds": round(seconds, 4),
                "task_seconds": round(time.perf_counter() - start, 4),
                "block_bytes": block_bytes,
                "base_rss": memory.base,
                "peak_rss": memory.so_far(),
                "warnings": caught,
            }
            return store_member(self.folder, plan.stem, fitted, record, trusted=self.trusted)
