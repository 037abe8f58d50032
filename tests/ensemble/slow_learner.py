"""A learner that fails, in a module that workers can import."""

from __future__ import annotations

from sklearn.tree import DecisionTreeClassifier

TYPES = ["tests.ensemble.slow_learner.Failing"]


class Failing(DecisionTreeClassifier):
    """Fits a few rows, and no shard."""

    def fit(self, X, y, sample_weight=None):
        if len(X) > 60:
            raise ValueError("no")
        return super().fit(X, y, sample_weight=sample_weight)
