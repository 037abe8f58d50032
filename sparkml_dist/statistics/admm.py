"""Consensus ADMM for a linear model: each shard has coefficients of its own that agree in the end.

One pass gives each shard's Gram matrix; the iterations are then between these, on the driver.

References
----------
Boyd, Parikh, Chu, Peleato, Eckstein (2011), "Distributed optimization and statistical learning
via the alternating direction method of multipliers", section 8.2.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve

from sparkml_dist.cluster.sums.layout import Summands
from sparkml_dist.dataset.block import Block
from sparkml_dist.dataset.sums import Sums
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.statistics.design import Design
from sparkml_dist.statistics.families import Family
from sparkml_dist.statistics.fista import soft
from sparkml_dist.statistics.glm_sums import gram_of
from sparkml_dist.statistics.minimum import Minimum

__all__ = ["admm"]

Array = npt.NDArray[np.float64]


def admm(
    sums: Sums,
    design: Design,
    family: Family,
    begin: Array,
    scale: Array,
    l1: Array,
    l2: Array,
    weight: float,
    *,
    tol: float,
    max_iter: int,
) -> Minimum:
    """Minimize the mean squared error of rows (halved) with L1 and L2 penalties.

    Parameters
    ----------
    sums : Sums
    design, family
        The family must be Gaussian with the identity link.
    begin, scale, l1, l2 : ndarray of shape (p,)
        Start, scales of the columns, and penalties of the scaled coefficients.
    weight : float
        Sum of all weights.
    tol : float
        Ends when the primal and the dual residual are at most this share of what they compare.
    max_iter : int

    Raises
    ------
    ConfigurationError
        ``conflicting_params`` for another family.
    """
    if family.name != "gaussian" or family.link.name != "identity":
        raise ConfigurationError(
            "conflicting_params",
            'The solver "admm" is for linear models.',
            'Use solver="fista" for other families.',
        )
    shards = len(sums.data.shards)
    found = sums.add_shards(_ShardGram(design, shards))
    grams = found["gram"] / scale / scale[:, None] / weight
    targets = found["target"] / scale / weight
    rho = max(float(np.trace(grams.sum(axis=0))) / len(scale) / shards, 1e-12)
    factors = [cho_factor(gram + rho * np.eye(len(scale))) for gram in grams]
    z, u = begin.copy(), np.zeros((shards, len(scale)))
    primal = dual = np.inf
    for iteration in range(1, max_iter + 1):
        x = np.array(
            [
                cho_solve(factor, target + rho * (z - lag))
                for factor, target, lag in zip(factors, targets, u, strict=True)
            ]
        )
        old, total = z, shards * rho
        z = soft((x + u).mean(axis=0) * total / (total + l2), l1 / (total + l2))
        u = u + x - z
        size = max(float(np.linalg.norm(x)), np.sqrt(shards) * float(np.linalg.norm(z)), 1e-300)
        primal = float(np.linalg.norm(x - z)) / size
        moved = np.sqrt(shards) * float(np.linalg.norm(z - old))
        dual = moved / max(float(np.linalg.norm(u)), 1e-300)
        if primal <= tol and moved <= tol * max(float(np.linalg.norm(u)), size):
            rule = f"primal and dual residual are {primal:.1e} and {dual:.1e} (tol={tol:g})"
            return Minimum(z, iteration, True, rule)
    rule = f"maxIter={max_iter} was reached; the primal residual is {primal:.1e}"
    return Minimum(z, max_iter, False, rule)


@dataclass(frozen=True)
class _ShardGram:
    design: Design
    shards: int

    def __call__(self, shard: int, blocks: Iterable[Block]) -> Summands:
        p = len(self.design.terms)
        gram, target = np.zeros((self.shards, p, p)), np.zeros((self.shards, p))
        for block in blocks:
            D, y, w, offset, _ = self.design.rows(block)
            gram[shard] += gram_of(D, w)
            target[shard] += D.T @ (w * (y - offset))
        return {"gram": gram, "target": target}
