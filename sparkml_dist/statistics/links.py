"""Links: functions that turn the mean of a generalized linear model into a linear predictor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import ConfigurationError

__all__ = ["LINKS", "Link", "link_of"]

Array = npt.NDArray[np.float64]

LINKS = (
    "identity",
    "log",
    "logit",
    "probit",
    "cloglog",
    "inverse",
    "inverse_squared",
    "sqrt",
    "power",
)
# Beyond it a probability is 0 or 1 in double precision.
_MOST_ETA = 700.0


@dataclass(frozen=True)
class Link:
    """A link by its name.

    Attributes
    ----------
    name : str
        One of `LINKS`.
    power : float
        Exponent of the link ``"power"``.
    """

    name: str
    power: float = 1.0

    def predictor(self, mean: Array) -> Array:
        """Return the linear predictor of means."""
        match self.name:
            case "identity":
                return mean
            case "log":
                return np.log(mean)
            case "logit":
                return np.log(mean / (1.0 - mean))
            case "probit":
                from scipy.special import ndtri

                return np.asarray(ndtri(mean))
            case "cloglog":
                return np.log(-np.log1p(-mean))
            case _:
                return np.power(mean, self._exponent)

    def mean(self, predictor: Array) -> Array:
        """Return the means of linear predictors."""
        match self.name:
            case "identity":
                return predictor
            case "log":
                return np.exp(np.minimum(predictor, _MOST_ETA))
            case "logit":
                from scipy.special import expit

                return np.asarray(expit(predictor))
            case "probit":
                from scipy.special import ndtr

                return np.asarray(ndtr(predictor))
            case "cloglog":
                return -np.expm1(-np.exp(np.minimum(predictor, _MOST_ETA)))
            case _:
                with np.errstate(invalid="ignore", divide="ignore"):
                    return np.power(predictor, 1.0 / self._exponent)

    def slope(self, predictor: Array, mean: Array) -> Array:
        """Return the derivative of the mean by the linear predictor."""
        match self.name:
            case "identity":
                return np.ones_like(mean)
            case "log":
                return mean
            case "logit":
                return mean * (1.0 - mean)
            case "probit":
                return np.exp(-0.5 * predictor * predictor) / np.sqrt(2.0 * np.pi)
            case "cloglog":
                limited = np.minimum(predictor, _MOST_ETA)
                return np.exp(limited - np.exp(limited))
            case _:
                with np.errstate(invalid="ignore", divide="ignore"):
                    return np.power(mean, 1.0 - self._exponent) / self._exponent

    @property
    def _exponent(self) -> float:
        fixed = {"inverse": -1.0, "inverse_squared": -2.0, "sqrt": 0.5}
        return fixed.get(self.name, self.power)

    def to_dict(self) -> dict[str, Any]:
        """Return the link as JSON values."""
        return {"name": self.name, "power": self.power}


def link_of(name: str, power: float = 1.0) -> Link:
    """Return a link by its name.

    Raises
    ------
    ConfigurationError
        ``invalid_param``.
    """
    if name not in LINKS:
        raise ConfigurationError(
            "invalid_param", f"link must be one of {', '.join(LINKS)}. Got {name!r}."
        )
    if name == "power":
        if power == 0:
            return Link("log")
        if power == 1:
            return Link("identity")
    return Link(name, power)
