"""Covariances of a multinomial regression that do not trust the multinomial variance.

References
----------
White (1982), "Maximum likelihood estimation of misspecified models", Econometrica 50. Bell,
McCaffrey (2002), "Bias reduction in standard errors for linear regression with multi-stage
samples", Survey Methodology 28 (leverages that are matrices, HC2 and HC3). Liang, Zeger (1986),
Biometrika 73 (clusters).
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
    kind : {"HC0", "HC1", "HC2", "HC3", "cluster"}
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
        work = MultinomialMeat(design, kind, frequency)
        meat = sums.add(work, (beta, factor.inverse()))["meat"]
        if kind == "HC1":
            meat = meat * (rows / (rows - beta.size))
    bread = factor.inverse()
    return np.asarray(bread @ meat @ bread)


def _residuals(rows: Rows, beta: Array) -> tuple[Array, Array]:
    """Return residuals of the classes but the first, and probabilities of all classes."""
    eta = np.column_stack([np.zeros(len(rows.y)), rows.D @ beta.T])
    odds = np.exp(eta - eta.max(axis=1, keepdims=True))
    probability = odds / odds.sum(axis=1, keepdims=True)
    hit = rows.y.astype(np.int64)[:, None] == np.arange(1, len(beta) + 1)
    return hit - probability[:, 1:], probability


def _dense(rows: Rows) -> Array:
    return rows.D if isinstance(rows.D, np.ndarray) else np.asarray(rows.D.toarray())


def _scores(D: Array, residual: Array) -> Array:
    """Return the scores of rows, shape (n, (classes - 1) * p)."""
    return np.asarray((residual[:, :, None] * D[:, None, :]).reshape(len(D), -1))


@dataclass(frozen=True)
class MultinomialMeat:
    """The sum of squared scores of rows."""

    design: Design
    kind: str
    frequency: bool

    def __call__(self, block: Block, beta: Array, bread: Array) -> Summands:
        """Return the sums of a block."""
        found = np.zeros((beta.size, beta.size))
        for rows in slices(self.design, block):
            D, one = _dense(rows), np.ones(len(rows.y))
            # A row of weight w stands for w rows, or is one with w times the information.
            times, each = (rows.weight, one) if self.frequency else (one, rows.weight)
            residual, probability = _residuals(rows, beta)
            residual = residual * each[:, None]
            if self.kind in ("HC2", "HC3"):
                residual = self._adjusted(D, residual, probability, each, bread)
            A = _scores(D, residual) * np.sqrt(times)[:, None]
            found += A.T @ A
        return {"meat": found}

    def _adjusted(
        self, D: Array, residual: Array, probability: Array, each: Array, bread: Array
    ) -> Array:
        """Return residuals without what a row's own part in the fit takes of them.

        With the variance V = R R' of a row and the covariance C of its linear predictors, the
        leverage is the matrix G = R' C R, and the residual e becomes R f(G) R^-1 e, with
        f(t) = (1 - t)^(-1/2) for HC2 and (1 - t)^(-1) for HC3. This is e + R h(G) R' C e with
        h(t) = (f(t) - 1) / t, which needs no inverse of R, whose probabilities may be 0.
        """
        (n, p), others = D.shape, residual.shape[1]
        covariance = np.empty((n, others, others))
        for a in range(others):
            for b in range(a, others):
                block = bread[a * p : a * p + p, b * p : b * p + p]
                value = np.einsum("ij,ij->i", D @ block, D)
                covariance[:, a, b] = covariance[:, b, a] = value
        # V = diag(u) (1 - u u') diag(u), u being the roots of the probabilities, and 1 - u u' is
        # the square of 1 - u u' / (1 + (1 - |u|^2)^(1/2)).
        u = np.sqrt(probability[:, 1:])
        inner = u[:, :, None] * u[:, None, :] / (1.0 + np.sqrt(probability[:, :1]))[:, :, None]
        R = u[:, :, None] * (np.eye(others) - inner) * np.sqrt(each)[:, None, None]
        seen = np.einsum("nab,nb->na", covariance, residual)
        t, vectors = np.linalg.eigh(np.einsum("nba,nbc,ncd->nad", R, covariance, R))
        left = np.maximum(1.0 - t, np.finfo(float).tiny)
        root = np.sqrt(left)
        h = 1.0 / left if self.kind == "HC3" else 1.0 / (root * (1.0 + root))
        along = np.einsum("nab,nca,nc->nb", vectors, R, seen)
        return np.asarray(residual + np.einsum("nca,nab,nb->nc", R, vectors, h * along))


@dataclass(frozen=True)
class MultinomialClusters:
    """The sums of scores of clusters, shape (clusters, (classes - 1) * p)."""

    design: Design
    clusters: npt.NDArray[np.int64]

    def __call__(self, block: Block, beta: Array) -> Summands:
        """Return the sums of a block."""
        scores = np.zeros((len(self.clusters), beta.size))
        rows = self.design.rows(block)
        residual, _ = _residuals(rows, beta)
        own = _scores(_dense(rows), residual * rows.weight[:, None])
        np.add.at(scores, np.searchsorted(self.clusters, rows.key), own)
        return {"scores": scores}
