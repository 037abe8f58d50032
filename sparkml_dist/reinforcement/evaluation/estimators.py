"""Off-policy estimates as functions of sums over episodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.reinforcement.evaluation.weighted_episodes import EPISODE_SUMS, WeightedEpisodes

__all__ = ["METHODS", "PER_STEP", "SumsOfEpisodes", "estimates", "influences"]

Floats = npt.NDArray[np.float64]

#: Methods by name, and the sum over episodes of which each is the mean; None for ratios of sums.
METHODS: dict[str, str | None] = {
    "dm": "direct",
    "fqe": "fitted",
    "is": "weighted_return",
    "wis": None,
    "clipped": "clipped_return",
    "pdis": "per_decision",
    "wpdis": None,
    "dr": "doubly_robust",
    "wdr": None,
    "mis": "marginal",
}
#: Those that need sums by step.
PER_STEP = ("wpdis", "wdr")
_AT = {name: i for i, name in enumerate(EPISODE_SUMS)}


@dataclass(frozen=True)
class SumsOfEpisodes:
    """Sums over episodes, or arrays of such sums of bootstrap replicates.

    Attributes
    ----------
    episodes : ndarray, shape (…, len(EPISODE_SUMS))
    steps : ndarray, shape (…, horizon + 1, len(STEP_SUMS))
    """

    episodes: Floats
    steps: Floats

    def mean(self, name: str) -> Floats:
        """Return the mean of a sum over episodes, shape (…)."""
        return _per(self.episodes[..., _AT[name]], self.episodes[..., _AT["one"]])


def estimates(sums: SumsOfEpisodes, methods: tuple[str, ...]) -> dict[str, Any]:
    """Return the estimate of each method, of the shape of the sums without their last axes.

    Self-normalized estimates divide by sums of weights; NaN where these are 0.

    References
    ----------
    Precup, Sutton, Singh (2000), "Eligibility traces for off-policy policy evaluation". Jiang, Li
    (2016), "Doubly robust off-policy value evaluation for reinforcement learning". Thomas,
    Brunskill (2016), "Data-efficient off-policy policy evaluation for reinforcement learning".
    """
    found: dict[str, Any] = {}
    for method in methods:
        mean_of = METHODS[method]
        if mean_of is not None:
            found[method] = sums.mean(mean_of)
        elif method == "wis":
            found[method] = _per(
                sums.episodes[..., _AT["weighted_return"]], sums.episodes[..., _AT["weight"]]
            )
        else:
            weight, reward, residual, value = np.moveaxis(sums.steps, -1, 0)
            some = weight[..., 0] > 0
            if method == "wpdis":
                total = _ratio(reward, weight).sum(axis=-1)
            else:
                total = _ratio(residual, weight).sum(axis=-1)
                total = total + _ratio(value, _before(weight, sums)).sum(axis=-1)
            found[method] = np.where(some, total, np.nan)
    return found


def influences(
    chunk: WeightedEpisodes, sums: SumsOfEpisodes, methods: tuple[str, ...]
) -> dict[str, Floats]:
    """Return how far each episode moves each estimate, to first order, shape (e,).

    The weighted sum over all episodes is 0, and that of squares, divided by the square of the
    number of episodes, is the variance of the estimate.

    Parameters
    ----------
    chunk : WeightedEpisodes
    sums : SumsOfEpisodes
        Over all episodes.
    methods : tuple of str
    """
    value_of = estimates(sums, methods)
    episodes = float(sums.episodes[_AT["one"]])
    column = {name: chunk.sums[:, i] for i, name in enumerate(EPISODE_SUMS)}
    found: dict[str, Floats] = {}
    for method in methods:
        mean_of, estimate = METHODS[method], float(value_of[method])
        if mean_of is not None:
            found[method] = column[mean_of] - estimate
        elif method == "wis":
            mean = float(sums.mean("weight")) or np.nan
            found[method] = (column["weighted_return"] - estimate * column["weight"]) / mean
        else:
            found[method] = episodes * _step_influence(chunk, sums, method)
    return found


def _step_influence(chunk: WeightedEpisodes, sums: SumsOfEpisodes, method: str) -> Floats:
    weight, reward, residual, value = np.moveaxis(sums.steps, -1, 0)
    own = np.moveaxis(chunk.steps, -1, 0)
    length = own.shape[2]
    inverse = np.divide(1.0, weight, out=np.zeros(len(weight)), where=weight > 0)
    numerator, own_numerator = (reward, own[1]) if method == "wpdis" else (residual, own[2])
    slope = numerator * inverse * inverse
    found = own_numerator @ inverse[:length] - own[0] @ slope[:length]
    # After the last step of these episodes their weights stay.
    found -= own[0][:, -1] * slope[length:].sum()
    if method == "wpdis":
        return np.asarray(found)
    before = _before(weight, sums)
    inverse = np.divide(1.0, before, out=np.zeros(len(before)), where=before > 0)
    slope = value * inverse * inverse
    own_before = np.hstack([np.ones((len(found), 1)), own[0][:, :-1]])
    found += own[3] @ inverse[:length] - own_before @ slope[:length]
    found -= own[0][:, -1] * slope[length:].sum()
    return np.asarray(found)


def _before(weight: Floats, sums: SumsOfEpisodes) -> Floats:
    """Return the sums of weights one step earlier; before the first step each weight is 1."""
    one = sums.episodes[..., _AT["one"], None]
    return np.concatenate([one, weight[..., :-1]], axis=-1)


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    return np.divide(numerator, denominator, out=np.zeros(numerator.shape), where=denominator > 0)


def _per(numerator: Floats, denominator: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(numerator / denominator)
