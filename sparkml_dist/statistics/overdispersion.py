"""The overdispersion of a negative binomial by maximum likelihood, at given coefficients.

References
----------
Venables, Ripley (2002), "Modern applied statistics with S", section 7.4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparkml_dist.cluster.sums.layout import Summands
from sparkml_dist.dataset.block import Block
from sparkml_dist.dataset.sums import Sums
from sparkml_dist.errors import DataError
from sparkml_dist.statistics.design import Design
from sparkml_dist.statistics.families import Family

__all__ = ["ShapePass", "estimated_overdispersion"]

Array = npt.NDArray[np.float64]

_STEPS = 50
_LEAST = 1e-8


def estimated_overdispersion(sums: Sums, design: Design, family: Family, beta: Array) -> float:
    """Return the overdispersion that maximizes the likelihood at coefficients.

    Parameters
    ----------
    sums : Sums
    design, family, beta
        Of the model; its overdispersion is where the search begins.

    Raises
    ------
    DataError
        ``no_overdispersion`` where the targets vary no more than those of a Poisson.
    """
    log_shape = -np.log(family.overdispersion)
    for _ in range(_STEPS):
        shape = float(np.exp(log_shape))
        found = sums.add(ShapePass(design, family), (beta, shape))
        # Newton's method for the logarithm of the shape; the gradient's way where it is not convex.
        slope = shape * float(found["score"])
        curve = shape * slope / shape - shape * shape * float(found["information"])
        step = slope / -curve if curve < 0 else np.sign(slope)
        log_shape += float(np.clip(step, -2.0, 2.0))
        if np.exp(-log_shape) < _LEAST:
            raise DataError(
                "no_overdispersion",
                "The targets vary no more than those of a Poisson: the overdispersion of the "
                "negative binomial is 0.",
                'Use family="poisson", or set overdispersion.',
            )
        if abs(step) < 1e-10:
            break
    return float(np.exp(-log_shape))


@dataclass(frozen=True)
class ShapePass:
    """Derivatives of the log-likelihood by the shape, at coefficients."""

    design: Design
    family: Family

    def __call__(self, block: Block, beta: Array, shape: float) -> Summands:
        """Return the sums of a block."""
        from scipy.special import digamma, polygamma

        D, y, w, offset, _ = self.design.rows(block)
        mu = self.family.link.mean(D @ beta + offset)
        total = mu + shape
        score = (
            digamma(shape + y) - digamma(shape) + np.log(shape / total) + 1 - (y + shape) / total
        )
        information = (
            polygamma(1, shape)
            - polygamma(1, shape + y)
            - 1 / shape
            + 2 / total
            - (y + shape) / total**2
        )
        return {"score": w @ score, "information": w @ information}
