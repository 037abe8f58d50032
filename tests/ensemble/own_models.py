"""A learner in a module of its own, that only a list of trusted types lets through."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin


class Own(ClassifierMixin, BaseEstimator):
    """Says that each class is as likely as the others; leaves a mark for every fit."""

    def __init__(self, marks=None):
        self.marks = marks

    def fit(self, X, y):
        if self.marks is not None:
            Path(self.marks, f"{time.time_ns()}-{len(y)}").touch()
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


def score(X, y):
    """Score features by their variance."""
    return X.var(axis=0)
