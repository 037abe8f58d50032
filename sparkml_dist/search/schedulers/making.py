"""Schedulers by name."""

from __future__ import annotations

from sparkml_dist.errors import ConfigurationError, nearest
from sparkml_dist.search.schedulers.asha import Asha
from sparkml_dist.search.schedulers.full import Full
from sparkml_dist.search.schedulers.hyperband import Hyperband
from sparkml_dist.search.schedulers.median_stopping import MedianStopping
from sparkml_dist.search.schedulers.rungs import check_ladder
from sparkml_dist.search.schedulers.scheduler import Scheduler
from sparkml_dist.search.schedulers.successive_halving import SuccessiveHalving

__all__ = ["SCHEDULERS", "make_scheduler"]

SCHEDULERS = ("asha", "hyperband", "halving", "median", "none")


def make_scheduler(
    kind: str, num_trials: int | None, least: int, most: int, factor: float = 3
) -> Scheduler:
    """Return a new scheduler.

    Parameters
    ----------
    kind : {"asha", "hyperband", "halving", "median", "none"}
    num_trials : int or None
        Largest number of trials; None for no end, which ``"halving"`` cannot have, and for one
        loop through the brackets of ``"hyperband"``.
    least, most : int
        Resource of the lowest rung and of the highest one; ``"none"`` uses the highest only.
    factor : float, default=3
        Reduction factor.

    Raises
    ------
    ConfigurationError
        ``invalid_param``.
    """
    if kind not in SCHEDULERS:
        raise ConfigurationError(
            "invalid_param",
            f"scheduler must be one of {', '.join(SCHEDULERS)}. Got {kind!r}."
            f"{nearest(kind, SCHEDULERS)}",
        )
    if num_trials is not None and num_trials < 1:
        raise ConfigurationError("invalid_param", f"numTrials must be >= 1. Got {num_trials}.")
    check_ladder(least, most, factor)
    if kind == "none":
        return Full(num_trials, most)
    if kind == "halving":
        if num_trials is None:
            raise ConfigurationError("invalid_param", "scheduler 'halving' needs numTrials.")
        return SuccessiveHalving(num_trials, least, most, factor)
    kinds = {"asha": Asha, "hyperband": Hyperband, "median": MedianStopping}
    return kinds[kind](num_trials, least, most, factor)
