"""One member: fitted in a task on its shards, committed to the model's folder."""

from __future__ import annotations

import hashlib
import logging
import time
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from sparkml_dist.cluster.memory import PeakMemory
from sparkml_dist.dataset.block import Block
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.ensemble.bags import Sampling, member_seed, poisson_counts
from sparkml_dist.ensemble.learner import Traits, prepare
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.learners import dump_learner

__all__ = ["MemberFit", "MemberPlan", "committed_members"]

_logger = logging.getLogger(__name__)

MEMBERS = "members"
_WARNINGS_KEPT = 3


@dataclass(frozen=True)
class MemberPlan:
    """What decides a member.

    Attributes
    ----------
    index : int
        Position in the ensemble.
    learner : int
        Which of the ensemble's learners.
    shards : tuple of int
        Shards that it learns from.
    sampling : Sampling
        Rows and features that it sees of them.
    """

    index: int
    learner: int
    shards: tuple[int, ...]
    sampling: Sampling

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
    learners : tuple of estimators
        Unfitted.
    plans : tuple of MemberPlan
    seed : int
    trusted : tuple of str
        Types that member files may contain beside the allow-list.
    cores : int
        Cores of a task.
    """

    data: PartitionedDataset
    folder: Folder
    learners: tuple[Any, ...]
    plans: tuple[MemberPlan, ...]
    seed: int
    trusted: tuple[str, ...]
    cores: int

    def __call__(self, index: int) -> dict[str, Any]:
        """Fit and commit member `index`; return its record."""
        import skops.io  # noqa: F401 - what the members are written with belongs to the base

        start = time.perf_counter()
        plan = self.plans[index]
        learner = self.learners[plan.learner]
        traits = Traits.of(learner)
        with PeakMemory() as memory:
            features = plan.sampling.features(self.data.n_features, self.seed, plan.index)
            block = self.data.read_block(
                plan.shards,
                features=None if features is None else features.tolist(),
                dtype=np.dtype(traits.dtype),
            )
            bag = _Bag.of(block, plan, traits, self.seed)
            prepared = prepare(learner, member_seed(self.seed, plan.index), self.cores)
            fitted, seconds, caught = _fit(prepared, bag, traits)
            content = dump_learner(fitted, trusted=self.trusted)
        record = {
            "member": plan.index,
            "learner": traits.name,
            "shards": list(plan.shards),
            "rows": len(block),
            "bag_rows": bag.rows,
            "features": None if features is None else features.tolist(),
            "dtype": traits.dtype,
            "allows_missing": traits.allows_missing,
            "allows_sparse": traits.allows_sparse,
            "seconds": round(seconds, 4),
            "task_seconds": round(time.perf_counter() - start, 4),
            "block_bytes": block.nbytes,
            "base_rss": memory.base,
            "peak_rss": memory.so_far(),
            "warnings": caught,
            "file": f"{MEMBERS}/{plan.stem}.skops",
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        home = self.folder.child(MEMBERS)
        home.write_bytes(f"{plan.stem}.skops", content)
        home.write_json(f"{plan.stem}.json", record)  # the commit: a member is one that has it
        return record


def committed_members(folder: Folder) -> dict[int, dict[str, Any]]:
    """Return the records of the members that are committed in a model's folder, by position."""
    home = folder.child(MEMBERS)
    records = {}
    for name in home.names(".json"):
        record = home.read_json(name)
        if folder.size(record["file"]) == record["bytes"]:
            records[int(record["member"])] = record
    return records


@dataclass(frozen=True)
class _Bag:
    """What is given to a learner's ``fit``."""

    X: Any
    y: Any
    weight: Any
    rows: int

    @classmethod
    def of(cls, block: Block, plan: MemberPlan, traits: Traits, seed: int) -> _Bag:
        sampling = plan.sampling
        X: Any = block.X
        if sp.issparse(X) and not traits.allows_sparse:
            X = X.toarray().astype(traits.dtype, copy=False)
        y, weight = block.y, block.weight
        kept = sampling.kept(block.key, seed, plan.index)
        if kept is not None and kept.any():
            X, y = X[kept], y[kept]
            weight = None if weight is None else weight[kept]
        key = block.key if kept is None or not kept.any() else block.key[kept]
        if not sampling.replaces and (weight is None or traits.weight_parameter):
            return cls(X, y, weight, len(y))
        rate: Any = sampling.max_samples if sampling.replaces else 1.0
        if weight is not None and not traits.weight_parameter:
            # A learner that takes no weights sees a row as often as its weight says.
            rate, weight = rate * weight / weight.mean(), None
        counts = poisson_counts(key, rate, seed, plan.index)
        if not counts.any():  # a bag of a few rows may come out empty; the shard itself will do
            counts = np.ones_like(counts)
        rows = int(counts.sum())
        if traits.weight_parameter:
            return cls(X, y, counts if weight is None else counts * weight, rows)
        chosen = np.repeat(np.arange(len(y)), counts)
        return cls(X[chosen], y[chosen], None, rows)


def _fit(learner: Any, bag: _Bag, traits: Traits) -> tuple[Any, float, list[str]]:
    from sklearn.dummy import DummyClassifier

    seen = np.unique(bag.y if bag.weight is None else bag.y[bag.weight > 0])
    if len(seen) == 1:
        # Many classifiers refuse one class; what they would have learnt is known.
        learner = DummyClassifier(strategy="constant", constant=seen[0])
        X, y, extra = bag.X[:1], seen, {}
    else:
        X, y = bag.X, bag.y
        extra = {} if bag.weight is None else {str(traits.weight_parameter): bag.weight}
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        learner.fit(X, y, **extra)
    seconds = time.perf_counter() - start
    texts = [f"{w.category.__name__}: {str(w.message).splitlines()[0]}" for w in caught]
    if len(seen) == 1:
        texts.insert(0, "only one class in the bag: the member always predicts it")
    return learner, seconds, list(dict.fromkeys(texts))[:_WARNINGS_KEPT]
