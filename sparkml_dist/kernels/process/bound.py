"""The variational bound of a sparse Gaussian process, from sums over all rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparkml_dist.kernels.ridge.normal_equations import RidgeMoments

__all__ = ["SparsePosterior", "Spectrum", "fitted_posterior"]

Matrix = npt.NDArray[np.float64]

# Of the variances of signal and noise.
_LOG_RATIOS, _RATIOS = (-20.0, 30.0), 401


@dataclass(frozen=True)
class Spectrum:
    """What the bound needs of the sums: a few numbers for each direction of the features.

    Attributes
    ----------
    values : ndarray of float64, shape (r,)
        Eigenvalues of the Gram matrix of the features of unit signal.
    moments : ndarray of float64, shape (r,)
        Of features and centred targets, in the eigenvectors' directions.
    vectors : ndarray of float64, shape (r, r)
    square : float
        Sum of the squares of the centred targets.
    weight : float
        Of all rows.
    unexplained : float
        Sum over the rows of the signal that the centres do not explain.
    mean : float
        Of the targets.
    """

    values: Matrix
    moments: Matrix
    vectors: Matrix
    square: float
    weight: float
    unexplained: float
    mean: float

    @classmethod
    def of(cls, sums: RidgeMoments) -> Spectrum:
        """Return the spectrum of sums over rows whose similarity to themselves is 1."""
        mean = float(sums.target_sum[0]) / sums.weight
        values, vectors = np.linalg.eigh(sums.gram)
        return cls(
            np.maximum(values, 0.0),
            vectors.T @ (sums.moment[:, 0] - sums.feature_sum * mean),
            vectors,
            max(0.0, float(sums.square_sum[0]) - sums.weight * mean**2),
            sums.weight,
            max(0.0, sums.weight - float(np.trace(sums.gram))),
            mean,
        )

    def likely_noise(self, ratio: float) -> float:
        """Return the variance of the noise with the greatest bound, for that of the signal over it.

        Parameters
        ----------
        ratio : float
        """
        explained = float((ratio * self.moments**2 / (1 + ratio * self.values)).sum())
        return max(0.0, self.square - explained) / self.weight

    def bound(self, signal: float, noise: float) -> float:
        """Return Titsias' bound on the log marginal likelihood of all rows.

        Parameters
        ----------
        signal, noise : float
            Variances > 0.
        """
        spread = noise + signal * self.values
        rest = self.weight - len(self.values)
        logs = rest * math.log(noise) + float(np.log(spread).sum())
        explained = float((signal * self.moments**2 / spread).sum())
        fit = (self.square - explained) / noise
        trace = signal * self.unexplained / noise
        return -0.5 * (self.weight * math.log(2 * math.pi) + logs + fit + trace)


def _greatest(function: Callable[[float], float]) -> float:
    """Return where a function of the logarithm of a ratio is greatest: on a grid, then near it."""
    from scipy.optimize import minimize_scalar

    grid = np.linspace(*_LOG_RATIOS, _RATIOS)
    best = float(grid[int(np.argmax([function(log) for log in grid]))])
    step = float(grid[1] - grid[0])
    found = minimize_scalar(
        lambda log: -function(log),
        bounds=(best - step, best + step),
        method="bounded",
        options={"xatol": 1e-9},
    )
    return float(found.x) if -found.fun >= function(best) else best


@dataclass(frozen=True)
class SparsePosterior:
    """The predictive distribution of a sparse Gaussian process.

    For features φ: ``mean + φ · coefficients``, with the variance
    ``noise + signal (1 - |φ spread|²)``.

    Attributes
    ----------
    mean : float
    coefficients : ndarray of float64, shape (r,)
    spread : ndarray of float64, shape (r, r)
    signal, noise : float
    bound : float
        On the log marginal likelihood of all rows.
    """

    mean: float
    coefficients: Matrix
    spread: Matrix
    signal: float
    noise: float
    bound: float


def fitted_posterior(
    sums: RidgeMoments, *, signal: float | None = None, noise: float | None = None
) -> SparsePosterior:
    """Return the posterior, with variances that maximize the bound where they are not given.

    The optimum needs no further pass over the rows: length scales are fixed, and the bound depends
    on the variances by the `Spectrum` alone.

    Parameters
    ----------
    sums : RidgeMoments
        Of whitened features and one target.
    signal, noise : float, optional
        Variances that are known.

    References
    ----------
    Titsias (2009), "Variational learning of inducing variables in sparse Gaussian processes".
    """
    spectrum = Spectrum.of(sums)
    variance = max(spectrum.square / spectrum.weight, 1e-300)

    def variances(log: float) -> tuple[float, float]:
        ratio = math.exp(log)
        if noise is not None:
            return (noise * ratio if signal is None else signal), noise
        if signal is not None:
            return signal, signal / ratio
        best = max(spectrum.likely_noise(ratio), 1e-12 * variance)
        return best * ratio, best

    s, n = variances(_greatest(lambda log: spectrum.bound(*variances(log))))
    share = s * spectrum.values / (n + s * spectrum.values)
    inner = s * spectrum.moments / (n + s * spectrum.values)
    return SparsePosterior(
        spectrum.mean,
        spectrum.vectors @ inner,
        spectrum.vectors * np.sqrt(share),
        s,
        n,
        spectrum.bound(s, n),
    )
