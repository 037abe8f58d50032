"""Base of the classifiers over shards."""

from __future__ import annotations

from typing import ClassVar

from sparkml_dist.dataset.columns import Task
from sparkml_dist.models.shard_estimator import ShardEstimator
from sparkml_dist.params import HasClassColumns

__all__ = ["ShardClassifier"]


class ShardClassifier(ShardEstimator, HasClassColumns):
    """Base of the estimators whose label is a class; see `ShardEstimator`."""

    _task: ClassVar[Task] = "classification"
