"""Covariances of coefficients that do not trust the variance of the family.

References
----------
White (1980), "A heteroskedasticity-consistent covariance matrix estimator", Econometrica 48.
MacKinnon, White (1985), Journal of Econometrics 29 (HC1 to HC3). Liang, Zeger (1986), Biometrika
73 (clusters).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparkml_dist.cluster.sums.layout import Summands
from sparkml_dist.dataset.block import Block
from sparkml_dist.dataset.sums import Sums
from sparkml_dist.errors import DataError
from sparkml_dist.statistics.design import Design, Rows
from sparkml_dist.statistics.factor import Factor
from sparkml_dist.statistics.families import Family
from sparkml_dist.statistics.glm_sums import slices

__all__ = ["ClusterScores", "Meat", "robust_covariance"]

Array = npt.NDArray[np.float64]

# What a leverage leaves of 1 below this is rounding.
_LEAST_LEFT = 1e-10


def robust_covariance(
    sums: Sums,
    design: Design,
    family: Family,
    beta: Array,
    factor: Factor,
    *,
    kind: str,
    clusters: npt.NDArray[np.int64] | None,
    frequency: bool,
    rows: float,
) -> Array:
    """Return a sandwich covariance of coefficients, in one pass.

    Parameters
    ----------
    sums : Sums
    design, family, beta, factor
        Of the fit; the factor is that of the information.
    kind : {"HC0", "HC1", "HC2", "HC3", "cluster"}
    clusters : ndarray of int64
        Sorted keys, for ``"cluster"``.
    frequency : bool
        Whether a weight counts rows.
    rows : float
        Number of rows, by their weights if these count.

    Returns
    -------
    ndarray of shape (p, p)

    Raises
    ------
    DataError
        ``too_few_rows`` for HC2 and HC3 where a row has a leverage of 1.
    """
    p = len(beta)
    if kind == "cluster":
        assert clusters is not None
        scores = sums.add(ClusterScores(design, family, clusters), (beta,))["scores"]
        count = len(clusters)
        meat = scores.T @ scores * (count / (count - 1) * (rows - 1) / (rows - p))
    else:
        work = Meat(design, family, kind, frequency)
        summed = sums.add(work, (beta, factor.leverage_root()))
        if summed["alone"]:
            raise DataError(
                "too_few_rows",
                f"{int(summed['alone']):,} row(s) have a leverage of 1: each decides a coefficient "
                f"alone, so that {kind} would divide by 0.",
                'Use covType="HC1", or join rare categories.',
            )
        meat = summed["meat"]
        if kind == "HC1":
            meat = meat * (rows / (rows - p))
    bread = factor.inverse()
    return np.asarray(bread @ meat @ bread)


def _residuals(rows: Rows, family: Family, beta: Array) -> tuple[Array, Array]:
    """Return score residual and information of each row."""
    eta = rows.D @ beta + rows.offset
    mu = family.link.mean(eta)
    slope, variance = family.link.slope(eta, mu), family.variance(mu)
    with np.errstate(divide="ignore", invalid="ignore"):
        residual = np.where(variance > 0, rows.weight * (rows.y - mu) * slope / variance, 0.0)
        working = np.where(variance > 0, rows.weight * slope * slope / variance, 0.0)
    return residual, working


@dataclass(frozen=True)
class Meat:
    """The sum of squared scores of rows, as ``robust_covariance`` needs it."""

    design: Design
    family: Family
    kind: str
    frequency: bool

    def __call__(self, block: Block, beta: Array, root: Array) -> Summands:
        """Return the sums of a block."""
        found = np.zeros((len(beta), len(beta)))
        alone = 0
        for rows in slices(self.design, block):
            residual, working = _residuals(rows, self.family, beta)
            D = rows.D if isinstance(rows.D, np.ndarray) else rows.D.toarray()
            times = np.ones(len(residual))
            if self.frequency:  # a row of weight w stands for w rows
                with np.errstate(divide="ignore", invalid="ignore"):
                    times = rows.weight
                    residual = np.where(times > 0, residual / times, 0.0)
                    working = np.where(times > 0, working / times, 0.0)
            if self.kind in ("HC2", "HC3"):
                Q = D @ root
                left = 1.0 - working * (Q * Q).sum(axis=1)
                alone += int((left < _LEAST_LEFT).sum())
                left = np.maximum(left, _LEAST_LEFT)
                residual = residual / (left if self.kind == "HC3" else np.sqrt(left))
            A = D * (residual * np.sqrt(times))[:, None]
            found += A.T @ A
        return {"meat": found, "alone": alone}


@dataclass(frozen=True)
class ClusterScores:
    """The sums of scores of clusters, shape (clusters, p)."""

    design: Design
    family: Family
    clusters: npt.NDArray[np.int64]

    def __call__(self, block: Block, beta: Array) -> Summands:
        """Return the sums of a block."""
        scores = np.zeros((len(self.clusters), len(beta)))
        rows = self.design.rows(block)
        residual, _ = _residuals(rows, self.family, beta)
        D = rows.D if isinstance(rows.D, np.ndarray) else rows.D.toarray()
        np.add.at(scores, np.searchsorted(self.clusters, rows.key), D * residual[:, None])
        return {"scores": scores}
