"""Base of the regressors over shards."""

from __future__ import annotations

from typing import ClassVar

from sparkml_dist.dataset.columns import Task
from sparkml_dist.models.shard_estimator import ShardEstimator

__all__ = ["ShardRegressor"]


class ShardRegressor(ShardEstimator):
    """Base of the estimators whose label is a real number; see `ShardEstimator`."""

    _task: ClassVar[Task] = "regression"
