"""Scores rows with the coefficients of a linear model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from sparkml_dist.dataset.schema import is_unseen
from sparkml_dist.errors import DataError
from sparkml_dist.statistics.design import Design, missing_values
from sparkml_dist.statistics.links import Link

__all__ = ["LinearScorer"]

Array = npt.NDArray[np.float64]

_LEAST = 1e-300


@dataclass(frozen=True, eq=False)
class LinearScorer:
    """A linear model in the form that is sent to workers.

    Attributes
    ----------
    design : Design
    coefficients : ndarray of shape (p,), or (classes - 1, p)
    link : Link or None
        None for several classes.
    n_classes : int
        Number of classes; 0 for a regression.
    """

    design: Design
    coefficients: Array
    link: Link | None
    n_classes: int

    raw_scale: ClassVar[float] = 1.0  # not used; see `raw`

    @property
    def cache_key(self) -> str:
        """Identifies the model within a worker."""
        facts = json.dumps([self.design.to_dict(), self.link and self.link.to_dict()])
        found = hashlib.sha256(facts.encode() + self.coefficients.tobytes())
        return f"linear/{found.hexdigest()}"

    def load(self) -> Callable[[Any], npt.NDArray[Any]]:
        """Return a function from features (n, d) to means (n,), or probabilities (n, n_classes).

        It raises a `DataError`, ``missing_values`` or ``unseen_category``, unless missing values
        become means, or rows that have some may be without a prediction.
        """

        def predict(X: Any) -> npt.NDArray[Any]:
            self._check(X)
            D, offset = self.design.matrix(X)
            if self.link is not None:
                mean = self.link.mean(D @ self.coefficients + offset)
                return np.column_stack([1.0 - mean, mean]) if self.n_classes else mean
            eta = np.column_stack([np.zeros(D.shape[0]), D @ self.coefficients.T])
            odds = np.exp(eta - eta.max(axis=1, keepdims=True))
            return np.asarray(odds / odds.sum(axis=1, keepdims=True))

        return predict

    def raw(self, probability: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return log odds for two classes, and logarithms of the probabilities for more."""
        logs = np.log(np.maximum(probability.astype(np.float64), _LEAST))
        if self.n_classes != 2:
            return np.asarray(logs)
        odds = logs[:, 1] - logs[:, 0]
        return np.column_stack([-odds, odds])

    def _check(self, X: Any) -> None:
        values = X if isinstance(X, np.ndarray) else X.data
        if not np.isnan(values).any():
            return
        handling = self.design.handling
        unseen = is_unseen(values)
        if handling == "skip" and not self.n_classes:
            return
        if handling == "mean" and not unseen.any():
            return
        if isinstance(X, np.ndarray):
            wrong = unseen if unseen.any() else np.isnan(X)
            feature = int(np.flatnonzero(wrong.any(axis=0))[0])
        else:
            feature = int(X.indices[np.flatnonzero(np.isnan(values))[0]])
        name = self.design.names[feature]
        if unseen.any():
            raise DataError(
                "unseen_category",
                f"The feature {name!r} holds a category that the training data does not.",
                "Leave such rows out; the model has no coefficient for it.",
            )
        raise missing_values([name])
