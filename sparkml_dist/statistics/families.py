"""Families of distributions of generalized linear models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.statistics.links import Link, link_of
from sparkml_dist.statistics.tweedie import tweedie_log_density

__all__ = ["FAMILIES", "Family", "family_of"]

Array = npt.NDArray[np.float64]

_PROBABILITY = ("logit", "probit", "cloglog", "log", "identity")
_POSITIVE = ("log", "identity", "sqrt", "inverse", "inverse_squared", "power")
#: Families, and the links that fit each: the default first.
FAMILIES: dict[str, tuple[str, ...]] = {
    "gaussian": ("identity", "log", "inverse", "sqrt", "power"),
    "binomial": _PROBABILITY,
    "poisson": ("log", "identity", "sqrt", "power"),
    "gamma": ("inverse", "log", "identity", "power", "inverse_squared", "sqrt"),
    "negative_binomial": ("log", "identity", "sqrt", "power"),
    "tweedie": ("log", *(name for name in _POSITIVE if name != "log")),
}
_LEAST = 1e-300


@dataclass(frozen=True)
class Family:
    """A distribution of the exponential family, and the link of its mean.

    Attributes
    ----------
    name : str
        One of `FAMILIES`.
    link : Link
    overdispersion : float
        Of the negative binomial: the variance is ``mu + overdispersion * mu**2``.
    variance_power : float
        Of Tweedie: the variance is proportional to ``mu**variance_power``.
    """

    name: str
    link: Link
    overdispersion: float = 1.0
    variance_power: float = 1.5

    @property
    def estimates_dispersion(self) -> bool:
        """Whether the dispersion is estimated, and not 1."""
        return self.name in ("gaussian", "gamma", "tweedie")

    @property
    def is_canonical(self) -> bool:
        """Whether the link is canonical: observed and expected information agree."""
        canonical = {"gaussian": "identity", "binomial": "logit", "poisson": "log"}
        return canonical.get(self.name) == self.link.name

    def invalid(self, y: Array) -> npt.NDArray[np.bool_]:
        """Tell which targets the family cannot have."""
        match self.name:
            case "binomial":
                return (y < 0) | (y > 1)
            case "poisson" | "negative_binomial":
                return y < 0
            case "gamma":
                return y <= 0
            case "tweedie":
                return y <= 0 if self.variance_power >= 2 else y < 0
            case _:
                return np.zeros(y.shape, bool)

    @property
    def domain(self) -> str:
        """The targets that the family can have, in words."""
        least = "> 0" if self.name == "gamma" or self.variance_power >= 2 else ">= 0"
        return {"binomial": "between 0 and 1", "gamma": "> 0", "tweedie": least}.get(
            self.name, ">= 0"
        )

    def start(self, y: Array, mean: float) -> Array:
        """Return means to begin with, inside the domain, as R's ``glm`` does."""
        if self.name == "binomial":
            return (y + 0.5) / 2.0
        if self.name == "gaussian" and self.link.name == "identity":
            return y
        return (y + mean) / 2.0

    def variance(self, mu: Array) -> Array:
        """Return the variance of each mean for a dispersion of 1."""
        match self.name:
            case "gaussian":
                return np.ones_like(mu)
            case "binomial":
                return mu * (1.0 - mu)
            case "poisson":
                return mu
            case "gamma":
                return mu * mu
            case "negative_binomial":
                return mu + self.overdispersion * mu * mu
            case _:
                return np.power(mu, self.variance_power)

    def is_mean(self, mu: Array) -> npt.NDArray[np.bool_]:
        """Tell which values can be means."""
        finite = np.isfinite(mu)
        if self.name == "gaussian":
            return finite
        if self.name == "binomial":
            return finite & (mu >= 0) & (mu <= 1)
        return finite & (mu > 0)

    def deviance(self, y: Array, mu: Array) -> Array:
        """Return the deviance of each row."""
        from scipy.special import xlogy

        match self.name:
            case "gaussian":
                return (y - mu) ** 2
            case "binomial":
                hit = y == 1.0
                if np.all(hit | (y == 0.0)):
                    return -2.0 * np.log(_above(np.where(hit, mu, 1.0 - mu)))
                return 2.0 * (xlogy(y, y / _above(mu)) + xlogy(1 - y, (1 - y) / _above(1 - mu)))
            case "poisson":
                return 2.0 * (xlogy(y, y / _above(mu)) - (y - mu))
            case "gamma":
                return 2.0 * ((y - mu) / mu - np.log(y / mu))
            case "negative_binomial":
                inverse = 1.0 / self.overdispersion
                return 2.0 * (
                    xlogy(y, y / _above(mu))
                    - (y + inverse) * np.log((y + inverse) / (mu + inverse))
                )
            case _:
                return self._tweedie_deviance(y, mu)

    def _tweedie_deviance(self, y: Array, mu: Array) -> Array:
        p = self.variance_power
        if p == 1:
            return Family("poisson", self.link).deviance(y, mu)
        if p == 2:
            return Family("gamma", self.link).deviance(y, mu)
        if p == 0:
            return (y - mu) ** 2
        with np.errstate(divide="ignore"):
            first = np.power(y, 2 - p) / ((1 - p) * (2 - p))
        return 2.0 * (first - y * np.power(mu, 1 - p) / (1 - p) + np.power(mu, 2 - p) / (2 - p))

    def log_likelihood(self, y: Array, mu: Array, dispersion: float) -> Array:
        """Return the log-likelihood of each row; NaN for Tweedie with a power above 2."""
        from scipy.special import gammaln, xlog1py, xlogy

        match self.name:
            case "gaussian":
                return -0.5 * ((y - mu) ** 2 / dispersion + np.log(2 * np.pi * dispersion))
            case "binomial":
                return xlogy(y, mu) + xlog1py(1 - y, -mu)
            case "poisson":
                return xlogy(y, mu) - mu - gammaln(y + 1)
            case "gamma":
                shape = 1.0 / dispersion
                ratio = y / mu
                return shape * (np.log(shape * ratio) - ratio) - np.log(y) - gammaln(shape)
            case "negative_binomial":
                inverse = 1.0 / self.overdispersion
                share = self.overdispersion * mu
                return (
                    xlogy(y, share)
                    - (y + inverse) * np.log1p(share)
                    + gammaln(y + inverse)
                    - gammaln(inverse)
                    - gammaln(y + 1)
                )
            case _:
                return self._tweedie_log_likelihood(y, mu, dispersion)

    def _tweedie_log_likelihood(self, y: Array, mu: Array, dispersion: float) -> Array:
        p = self.variance_power
        if p in (0, 2):
            name = "gaussian" if p == 0 else "gamma"
            return Family(name, self.link).log_likelihood(y, mu, dispersion)
        if p == 1 or p > 2:  # a Poisson with a dispersion has no density; a series that alternates
            return np.full(y.shape, np.nan)
        return tweedie_log_density(y, mu, p, dispersion)

    def to_dict(self) -> dict[str, Any]:
        """Return the family as JSON values."""
        return {
            "name": self.name,
            "link": self.link.to_dict(),
            "overdispersion": self.overdispersion,
            "variance_power": self.variance_power,
        }

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Family:
        """Return the family of `to_dict`; raise `ConfigurationError` for others."""
        return family_of(
            value["name"],
            value["link"]["name"],
            overdispersion=float(value["overdispersion"]),
            variance_power=float(value["variance_power"]),
            link_power=float(value["link"]["power"]),
        )


def _above(values: Array) -> Array:
    return np.maximum(values, _LEAST)


def family_of(
    name: str,
    link: str | None = None,
    *,
    overdispersion: float = 1.0,
    variance_power: float = 1.5,
    link_power: float = 0.0,
) -> Family:
    """Return a family by its name, with a link that fits it.

    Parameters
    ----------
    name : str
        One of `FAMILIES`.
    link : str, optional
        The first of the family's in `FAMILIES` by default.
    overdispersion : float, default=1.0
        Of the negative binomial.
    variance_power : float, default=1.5
        Of Tweedie: 0, or 1 and more.
    link_power : float, default=0.0
        Exponent of the link ``"power"``; 0 is the logarithm.

    Raises
    ------
    ConfigurationError
        ``invalid_param``, or ``link_not_of_family``.
    """
    if name not in FAMILIES:
        raise ConfigurationError(
            "invalid_param", f"family must be one of {', '.join(FAMILIES)}. Got {name!r}."
        )
    links = FAMILIES[name]
    if link is not None and link not in links:
        known = link_of(link)  # raises for names that are no link at all
        raise ConfigurationError(
            "link_not_of_family",
            f"The link {known.name!r} does not fit the family {name!r}.",
            f"Use one of {', '.join(links)}.",
        )
    if not overdispersion > 0:
        raise ConfigurationError(
            "invalid_param", f"overdispersion must be > 0. Got {overdispersion!r}."
        )
    if not (variance_power == 0 or variance_power >= 1):
        raise ConfigurationError(
            "invalid_param", f"variancePower must be 0, or at least 1. Got {variance_power!r}."
        )
    return Family(name, link_of(link or links[0], link_power), overdispersion, variance_power)
