"""Covariances of a multinomial regression that do not trust the multinomial variance.

References
----------
White (1982), "Maximum likelihood estimation of misspecified models", Econometrica 50. Liang, Zeger
(1986), Biometrika 73 (clusters).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparkml_dist.cluster.sums.layout import Summands
from sparkml_dist.dataset.block import Block
from sparkml_dist.dataset.sums import Sums
from sparkml_dist.statistics.design import Design, Rows
from sparkml_dist.statistics.factor import Factor
from sparkml_dist.statistics.glm_sums import slices

__all__ = ["MultinomialClusters", "MultinomialMeat", "robust_multinomial"]

Array = npt.NDArray[np.float64]


def robust_multinomial(
    sums: Sums,
    design: Design,
    beta: Array,
    factor: Factor,
    *,
    kind: str,
    clusters: npt.NDArray[np.int64] | None,
    frequency: bool,
    rows: float,
) -> Array:
    """Return a sandwich covariance of the coefficients of all classes, in one pass.

    Parameters
    ----------
    sums : Sums
    design, factor
        Of the fit; the factor is that of the information.
    beta : ndarray of shape (classes - 1, p)
    kind : {"HC0", "HC1", "cluster"}
    clusters : ndarray of int64
        Sorted keys, for ``"cluster"``.
    frequency : bool
        Whether a weight counts rows.
    rows : float
        Number of rows, by their weights if these count.

    Returns
    -------
    ndarray of shape ((classes - 1) * p, (classes - 1) * p)
        Of the coefficients row by row.
    """
    if kind == "cluster":
        assert clusters is not None
        scores = sums.add(MultinomialClusters(design, clusters), (beta,))["scores"]
        count = len(clusters)
        meat = scores.T @ scores * (count / (count - 1) * (rows - 1) / (rows - beta.size))
    else:
        meat = sums.add(MultinomialMeat(design, frequency), (beta,))["meat"]
        if kind == "HC1":
            meat = meat * (rows / (rows - beta.size))
    bread = factor.inverse()
    return np.asarray(bread @ meat @ bread)


def _scores(rows: Rows, beta: Array) -> Array:
    """Return the score of each row, of weight 1, shape (n, (classes - 1) * p)."""
    eta = np.column_stack([np.zeros(len(rows.y)), rows.D @ beta.T])
    odds = np.exp(eta - eta.max(axis=1, keepdims=True))
    probability = odds / odds.sum(axis=1, keepdims=True)
    hit = rows.y.astype(np.int64)[:, None] == np.arange(1, len(beta) + 1)
    D = rows.D if isinstance(rows.D, np.ndarray) else rows.D.toarray()
    residual = hit - probability[:, 1:]
    return np.asarray((residual[:, :, None] * D[:, None, :]).reshape(len(D), beta.size))


@dataclass(frozen=True)
class MultinomialMeat:
    """The sum of squared scores of rows."""

    design: Design
    frequency: bool

    def __call__(self, block: Block, beta: Array) -> Summands:
        """Return the sums of a block."""
        found = np.zeros((beta.size, beta.size))
        for rows in slices(self.design, block):
            # A row of weight w stands for w rows, or has w times the score.
            root = np.sqrt(rows.weight) if self.frequency else rows.weight
            A = _scores(rows, beta) * root[:, None]
            found += A.T @ A
        return {"meat": found}


@dataclass(frozen=True)
class MultinomialClusters:
    """The sums of scores of clusters, shape (clusters, (classes - 1) * p)."""

    design: Design
    clusters: npt.NDArray[np.int64]

    def __call__(self, block: Block, beta: Array) -> Summands:
        """Return the sums of a block."""
        scores = np.zeros((len(self.clusters), beta.size))
        rows = self.design.rows(block)
        own = _scores(rows, beta) * rows.weight[:, None]
        np.add.at(scores, np.searchsorted(self.clusters, rows.key), own)
        return {"scores": scores}
