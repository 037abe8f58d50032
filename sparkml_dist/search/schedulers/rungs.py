"""The ladder of resources that a trial climbs."""

from __future__ import annotations

import math

from sparkml_dist.errors import ConfigurationError

__all__ = ["check_ladder", "rung_resources"]

# Logarithms of exact powers fall short of whole numbers by rounding.
_ROUNDING = 1e-9


def check_ladder(least: int, most: int, factor: float) -> None:
    """Raise unless the bounds of the resource and the reduction factor make a ladder.

    Raises
    ------
    ConfigurationError
        ``invalid_param``.
    """
    if least < 1:
        raise ConfigurationError("invalid_param", f"minResource must be >= 1. Got {least}.")
    if most < least:
        raise ConfigurationError(
            "invalid_param",
            f"maxResource must be >= minResource. Got {most} < {least}.",
            "Lower minResource, or raise maxResource.",
        )
    if not (factor > 1 and math.isfinite(factor)):
        raise ConfigurationError("invalid_param", f"reductionFactor must be > 1. Got {factor}.")


def rung_resources(least: int, most: int, factor: float = 3) -> list[int]:
    """Return the resource of each rung, from the least to the most.

    Both bounds are rungs. Those between lie at equal ratios, as near to the reduction factor as
    a whole number of rungs allows; where the bounds are a power of the factor apart, the ratios
    are that factor.

    Parameters
    ----------
    least, most : int
        The resource of the lowest rung and of the highest one.
    factor : float, default=3
        Wanted ratio of the resources of a rung and of the one below it.

    Returns
    -------
    list of int
        Ascending, without repetitions; ``[most]`` where the bounds are less than half a rung
        apart.

    Raises
    ------
    ConfigurationError
        ``invalid_param``.

    Examples
    --------
    >>> from sparkml_dist.search.schedulers.rungs import rung_resources
    >>> rung_resources(1, 27, 3), rung_resources(1, 20, 3)
    ([1, 3, 9, 27], [1, 3, 7, 20])
    """
    check_ladder(least, most, factor)
    steps = round(math.log(most / least, factor))
    if steps == 0:
        return [most]
    ladder = {round(least * (most / least) ** (k / steps)) for k in range(steps + 1)}
    return sorted(ladder)


def whole_log(ratio: float, factor: float) -> int:
    """Return the largest whole number k for which factor ** k <= ratio."""
    return math.floor(math.log(ratio, factor) + _ROUNDING)
