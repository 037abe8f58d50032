"""Learners that fail, hang, grow, or have a loss that is known in advance."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

#: For ``trustedTypes``.
TYPES = [
    f"tests.search.learners_of_trials.{name}" for name in ("Misbehaving", "KnownLoss", "Counting")
]


class Misbehaving(ClassifierMixin, BaseEstimator):
    """Predicts the first class, if it gets so far."""

    def __init__(self, how="well"):
        self.how = how

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        if len(y) <= 200 and self.how != "at once":  # on a few rows it behaves
            return self
        if self.how in ("raises", "at once"):
            raise ValueError("it does not converge")
        if self.how == "is killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "kills its worker":
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(60)
        if self.how == "hangs":
            time.sleep(600)
        if self.how == "grows":
            held = []
            while True:
                held.append(np.ones(1 << 20))
                time.sleep(0.002)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])

    def predict_proba(self, X):
        first = np.zeros((len(X), len(self.classes_)))
        first[:, 0] = 1.0
        return first


class KnownLoss(RegressorMixin, BaseEstimator):
    """Predicts zero less its loss: where all targets are zero, that is the mean absolute error."""

    def __init__(self, number=0):
        self.number = number

    def fit(self, X, y):
        self.value_ = float((7 * self.number) % 27)
        return self

    def predict(self, X):
        return np.full(len(X), self.value_)


class Counting(ClassifierMixin, BaseEstimator):
    """Leaves a file in a folder for each fit, after some seconds."""

    def __init__(self, number=0, folder="", seconds=0.0):
        self.number = number
        self.folder = folder
        self.seconds = seconds

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        time.sleep(self.seconds)
        if self.folder and len(y) > 200:
            (Path(self.folder) / f"{self.number}-{len(X)}-{time.time_ns()}").touch()
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[self.number % len(self.classes_)])
