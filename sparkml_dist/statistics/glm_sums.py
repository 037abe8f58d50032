"""What a pass over the blocks adds up for a generalized linear model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from sparkml_dist.cluster.sums.layout import Summands
from sparkml_dist.dataset.block import Block
from sparkml_dist.statistics.design import Design, Rows
from sparkml_dist.statistics.families import Family
from sparkml_dist.statistics.sparse_columns import SparseColumns

__all__ = ["GlmPass", "LogLikelihood", "gram_of", "slices"]

Array = npt.NDArray[np.float64]

# Rows of a slice: its temporaries stay in a core's cache.
_SLICE_BYTES = 1 << 21


@dataclass(frozen=True)
class GlmPass:
    """A pass at given coefficients: information, score, deviance.

    Attributes
    ----------
    design : Design
    family : Family
    mean : float
        Weighted mean of the targets.
    gram : bool, default=True
        Whether the information is formed.
    working : bool, default=False
        Whether `of` returns the working weight of each row too.
    """

    design: Design
    family: Family
    mean: float
    gram: bool = True
    working: bool = False

    def __call__(self, block: Block, beta: Array | None) -> Summands:
        """Return the sums of a block; for no coefficients, at the means to begin with."""
        total: dict[str, Any] = {}
        for rows in slices(self.design, block):
            part = self.of(rows, beta)
            if not total:
                total = part
                continue
            for name, value in part.items():
                total[name] = total[name] + value
        return total

    def of(self, rows: Rows, beta: Array | None) -> dict[str, Any]:
        """Return the sums of rows."""
        D, y, w, offset, _ = rows
        family, link = self.family, self.family.link
        if beta is None:
            mu = family.start(y, self.mean)
            eta = link.predictor(mu)
        else:
            eta = D @ beta + offset
            mu = link.mean(eta)
        good = family.is_mean(mu)
        bad = int((~good & (w > 0)).sum())
        if bad:
            mu, w = np.where(good, mu, self.mean), np.where(good, w, 0.0)
        slope, variance = link.slope(eta, mu), family.variance(mu)
        with np.errstate(divide="ignore", invalid="ignore"):
            working = np.where(variance > 0, w * slope * slope / variance, 0.0)
            residual = np.where(variance > 0, (y - mu) * slope / variance, 0.0) * w
            pearson = np.where(variance > 0, (y - mu) ** 2 / variance, 0.0)
        if beta is None:  # the score of the working response around 0
            with np.errstate(divide="ignore", invalid="ignore"):
                residual = residual + np.where(working > 0, working * (eta - offset), 0.0)
        found: dict[str, Any] = {
            "score": D.T @ residual,
            "deviance": w @ family.deviance(y, mu),
            "pearson": w @ pearson,
            "bad": bad,
            "information": working.sum(),
        }
        if beta is None:
            found["null_deviance"] = w @ family.deviance(y, np.full(y.shape, self.mean))
        if self.gram:
            found["gram"] = gram_of(D, working)
        if self.working:
            found["working"] = working
        return found


@dataclass(frozen=True)
class LogLikelihood:
    """A pass for the log-likelihoods of a model and of the mean alone.

    Attributes
    ----------
    design : Design
    family : Family
    mean : float
        Weighted mean of the targets.
    dispersion : float
    """

    design: Design
    family: Family
    mean: float
    dispersion: float

    def __call__(self, block: Block, beta: Array) -> Summands:
        """Return the sums of a block."""
        family, total = self.family, np.zeros(3)
        for D, y, w, offset, _ in slices(self.design, block):
            mu = family.link.mean(D @ beta + offset)
            null = np.full(y.shape, self.mean)
            total += (
                w @ family.log_likelihood(y, mu, self.dispersion),
                w @ family.log_likelihood(y, null, self.dispersion),
                w @ family.deviance(y, null),
            )
        return dict(zip(("model", "null", "null_deviance"), total, strict=True))


def slices(design: Design, block: Block) -> Iterator[Rows]:
    """Yield a block's rows in slices whose matrices fit a core's cache; sparse rows whole."""
    sparse = sp.issparse(block.X)
    step = max(256, _SLICE_BYTES // (8 * max(1, 0 if sparse else design.width)))
    if sparse or len(block) <= step:
        yield design.rows(block)
        return
    for start in range(0, len(block), step):
        part = slice(start, start + step)
        weight = None if block.weight is None else block.weight[part]
        yield design.rows(Block(block.X[part], block.y[part], weight, block.key[part]))


def gram_of(D: Any, weight: Array) -> Array:
    """Return ``D.T @ diag(weight) @ D``, dense."""
    root = np.sqrt(weight)
    if isinstance(D, SparseColumns):
        scaled = sp.diags_array(root) @ D.csr()
        return np.asarray((scaled.T @ scaled).todense())
    A = D * root[:, None]
    return np.asarray(A.T @ A)
