"""What a function that defines a space is called with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.search.dimensions import (
    Choices,
    Dimension,
    Floating,
    Integer,
    is_whole,
    plain_values,
)
from sparkml_dist.search.sources import Source

__all__ = ["SpaceTrial"]


class SpaceTrial:
    """A trial that asks for one parameter after another, with the methods of Optuna's ``Trial``.

    Which parameters are asked for, and in what ranges, may depend on the values of others.

    Parameters
    ----------
    source : Source
    prefix : str
        Precedes the names of the points.
    estimator : str or None
        Name of the learner that the parameters are for, if there are several.

    Attributes
    ----------
    estimator : str or None
    params : dict
        The values so far, by name.
    """

    def __init__(self, source: Source, prefix: str = "", estimator: str | None = None) -> None:
        self._source = source
        self._prefix = prefix
        self._signatures: dict[str, tuple[Any, ...]] = {}
        self.estimator = estimator
        self.params: dict[str, Any] = {}

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Return a real number from `low` to `high`, both included."""
        return self.suggest(name, floating(name, low, high, step=step, log=log))

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        """Return a whole number from `low` to `high`, both included."""
        return self.suggest(name, integer(name, low, high, step=step, log=log))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Return one of the choices, which may be any objects."""
        return self.suggest(name, choice(name, choices))

    def suggest(self, name: str, dimension: Dimension) -> Any:
        """Return a value of a dimension; the same for a name that was asked for before.

        Raises
        ------
        ConfigurationError
            ``invalid_param`` if the name was asked for with other values.
        """
        signature = dimension.signature()
        if name in self.params:
            if self._signatures[name] != signature:
                raise ConfigurationError(
                    "invalid_param", f"space asks for {name!r} twice, with different values."
                )
            return self.params[name]
        self._signatures[name] = signature
        self.params[name] = dimension.value(self._source.take(self._prefix + name, dimension))
        return self.params[name]


def floating(
    name: str, low: float, high: float, *, step: float | None = None, log: bool = False
) -> Floating:
    """Return the dimension of a real number, checked."""
    _check_range(name, low, high, log=log)
    if step is not None and (log or not step > 0):
        _refuse(name, f"step must be > 0, and not with log. Got {step}")
    if (
        step is not None
    ):  # the last value is a whole number of steps away; rounding must not lose it
        high = low + math.floor((high - low) / step + 1e-9) * step
    return Floating(float(low), float(high), log, None if step is None else float(step))


def integer(name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> Integer:
    """Return the dimension of a whole number, checked."""
    if not (is_whole(low) and is_whole(high) and is_whole(step)):
        _refuse(name, f"low, high and step must be whole numbers. Got {low}, {high}, {step}")
    _check_range(name, low, high, log=log)
    if step < 1 or (log and step != 1):
        _refuse(name, f"step must be >= 1, and not with log. Got {step}")
    return Integer(int(low), int(high - (high - low) % step), log, int(step))


def choice(name: str, values: Sequence[Any]) -> Choices:
    """Return the dimension of a list of values, checked."""
    found = plain_values(values)
    if not found:
        _refuse(name, "there must be one value or more. The list is empty")
    return Choices(found)


def _check_range(name: str, low: float, high: float, *, log: bool) -> None:
    if not (math.isfinite(low) and math.isfinite(high)):
        _refuse(name, f"low and high must be finite. Got {low} and {high}")
    if low > high:
        _refuse(name, f"low must be <= high. Got {low} > {high}")
    if log and low <= 0:
        _refuse(name, f"low must be > 0 with log. Got {low}")


def _refuse(name: str, what: str) -> None:
    raise ConfigurationError("invalid_param", f"space[{name!r}]: {what}.")
