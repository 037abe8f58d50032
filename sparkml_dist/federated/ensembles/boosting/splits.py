"""The best split of each node, by sums of gradients and hessians in bins."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Growth", "Split", "best_splits", "bin_offsets"]

# Gains up to this are rounding, as in XGBoost.
_NO_GAIN = 1e-6


@dataclass(frozen=True)
class Growth:
    """How trees grow.

    Attributes
    ----------
    max_depth : int
    learning_rate : float
    reg_lambda : float
        Penalty on squared leaf values.
    min_child_weight : float
        Least sum of hessians of a leaf.
    min_split_loss : float
        Least gain of a split.
    """

    max_depth: int = 6
    learning_rate: float = 0.3
    reg_lambda: float = 1.0
    min_child_weight: float = 1.0
    min_split_loss: float = 0.0

    def value(self, gradient: float, hessian: float) -> float:
        """Return the value of a leaf, in single precision."""
        total = hessian + self.reg_lambda
        return float(np.float32(-gradient / total * self.learning_rate)) if total > 0 else 0.0


@dataclass(frozen=True)
class Split:
    """The split of a node.

    Attributes
    ----------
    feature, cut : int
        Rows whose bin of the feature is `cut` or less go left.
    missing_left : bool
    gain : float
    left, right : (float, float)
        Sums of gradients and hessians of the children.
    """

    feature: int
    cut: int
    missing_left: bool
    gain: float
    left: tuple[float, float]
    right: tuple[float, float]


def bin_offsets(cuts: list[npt.NDArray[Any]]) -> npt.NDArray[np.int64]:
    """Return the place of each feature's bins in a histogram, and the total.

    A feature with m cuts has m + 1 bins, and one of missing values after them.
    """
    return np.cumsum([0, *(len(own) + 2 for own in cuts)])


def best_splits(
    histograms: npt.NDArray[np.float64], offsets: npt.NDArray[np.int64], growth: Growth
) -> list[Split | None]:
    """Return the split with the largest gain of each node, or None where no split is allowed.

    Of equal gains, that of the first feature, then the first cut, then missing values to the right.

    Parameters
    ----------
    histograms : ndarray of float64, shape (n_nodes, 2, n_bins)
        Sums of gradients, and of hessians, in the bins of all features.
    offsets : ndarray of int64, shape (n_features + 1,)
        Of `bin_offsets`.
    growth : Growth
    """
    nodes = len(histograms)
    best_gain = np.full(nodes, -np.inf)
    best: list[Split | None] = [None] * nodes
    for feature, (begin, end) in enumerate(pairwise(offsets)):
        cuts = int(end - begin) - 2
        if cuts < 1:
            continue
        own = histograms[:, :, begin : end - 1]
        missing = histograms[:, :, end - 1]
        total = own.sum(axis=2) + missing
        below = np.cumsum(own, axis=2)[:, :, :cuts]
        # Shape (n_nodes, 2, cuts, 2): missing values to the right, and to the left.
        left = np.stack([below, below + missing[:, :, None]], axis=3)
        right = total[:, :, None, None] - left
        gain = (
            _score(left, growth) + _score(right, growth) - _score(total[:, :, None, None], growth)
        )
        enough = np.minimum(left[:, 1], right[:, 1]) >= growth.min_child_weight
        gain = np.where(enough, gain, -np.inf).reshape(nodes, -1)
        at = gain.argmax(axis=1)
        found = gain[np.arange(nodes), at]
        for node in np.flatnonzero(found > best_gain):
            cut, side = divmod(int(at[node]), 2)
            if found[node] <= _NO_GAIN or found[node] < growth.min_split_loss:
                continue
            best_gain[node] = found[node]
            one, other = (
                (float(part[node, 0, cut, side]), float(part[node, 1, cut, side]))
                for part in (left, right)
            )
            best[node] = Split(feature, cut, bool(side), float(found[node]), one, other)
    return best


def _score(sums: npt.NDArray[np.float64], growth: Growth) -> npt.NDArray[np.float64]:
    hessian = sums[:, 1] + growth.reg_lambda
    with np.errstate(divide="ignore", invalid="ignore"):
        found = sums[:, 0] ** 2 / hessian
    return np.where(hessian > 0, found, 0.0)
