"""Standard deviations that cover as many held-out rows as they promise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.kernels.nystroem_map import NystroemMap
from sparkml_dist.kernels.process.bound import SparsePosterior
from sparkml_dist.kernels.process.process_scorer import ProcessScorer
from sparkml_dist.kernels.ridge.targets import Targets
from sparkml_dist.kernels.row_source import draws_of
from sparkml_dist.models.scoring import loaded

__all__ = ["Calibration", "residuals_of_block", "residuals_of_draws"]

_BINS, _WIDEST = 4000, 20.0
_COVER, _WITHIN = 0.95, 1.959963984540054
_LEAST_ROWS = 100


def residuals_of_block(
    block: Any, features: NystroemMap, targets: Targets, posterior: SparsePosterior
) -> dict[str, Any]:
    """Return counts of the held-out rows of a block by their distance to the prediction.

    In standard deviations, in bins of 0.005 up to 20.

    Parameters
    ----------
    block : Block
    features : NystroemMap
        Whitened.
    targets : Targets
    posterior : SparsePosterior
        Of the other rows.
    """
    counts = np.zeros(_BINS, np.int64)
    y, (_, weight) = targets.of(block)[:, 0], targets.weights(block)
    for rows, mapped in features.chunks(block.X):
        held = weight[rows] > 0
        seen = mapped[held]
        mean = posterior.mean + seen @ posterior.coefficients
        known = ((seen @ posterior.spread) ** 2).sum(axis=1)
        variance = posterior.noise + posterior.signal * np.maximum(1 - known, 0.0)
        counts += _counted(y[rows][held], mean, variance)
    return {"counts": counts}


def residuals_of_draws(
    block: Any, scorer: ProcessScorer, seed: int, least: float
) -> dict[str, Any]:
    """Return the counts of `residuals_of_block` for the rows with draws of `least` or more.

    Parameters
    ----------
    block : Block
    scorer : ProcessScorer
        That has not learnt from these rows.
    seed : int
    least : float
    """
    held = draws_of(block.key, seed) >= least
    if not held.any():
        return {"counts": np.zeros(_BINS, np.int64)}
    mean, variance = loaded(f"distribution/{scorer.cache_key}", scorer.distribution)(block.X[held])
    return {"counts": _counted(block.y[held], mean, variance)}


def _counted(
    y: npt.NDArray[np.float64], mean: npt.NDArray[np.float64], variance: npt.NDArray[np.float64]
) -> npt.NDArray[np.int64]:
    away = np.abs(y - mean) / np.sqrt(variance)
    places = np.minimum((away * (_BINS / _WIDEST)).astype(np.int64), _BINS - 1)
    return np.bincount(places, minlength=_BINS).astype(np.int64)


@dataclass(frozen=True)
class Calibration:
    """A factor on standard deviations.

    Attributes
    ----------
    factor : float
        With it, 95% of the held-out rows lie within 1.96 standard deviations.
    cover : float or None
        Share of the held-out rows that lie within them without it; None for too few rows.
    rows : int
        Held-out rows.
    """

    factor: float
    cover: float | None
    rows: int

    @classmethod
    def of(cls, counts: npt.NDArray[np.int64]) -> Calibration:
        """Return the calibration by the sums of `residuals_of_block`; none for under 100 rows."""
        rows = int(counts.sum())
        if rows < _LEAST_ROWS:
            return cls(1.0, None, rows)
        edges = np.linspace(0.0, _WIDEST, _BINS + 1)
        shares = np.concatenate([[0.0], np.cumsum(counts) / rows])
        quantile = float(np.interp(_COVER, shares, edges))
        return cls(quantile / _WITHIN, float(np.interp(_WITHIN, edges, shares)), rows)
