"""The dimensions of a space: what values a parameter may have, and how samplers see them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

__all__ = ["Choices", "Dimension", "Floating", "Integer", "Point", "Quantile"]

Point = float | int
"""A value as samplers and files know it: a number, or the index of a choice."""

# Quantiles stay off 0 and 1, where many distributions are infinite.
_EDGE = 2.0**-30


class Dimension(ABC):
    """The values that one parameter may have.

    Samplers and stored trials hold points, which are JSON numbers; `value` makes a parameter's
    value of one.
    """

    @property
    def size(self) -> int | None:
        """Number of values; None if they cannot be counted."""
        return None

    @abstractmethod
    def value(self, point: Point) -> Any:
        """Return the parameter's value at a point."""

    @abstractmethod
    def at(self, share: float) -> Point:
        """Return the point at a share in [0, 1) of the dimension; uniform shares sample it."""

    def nth(self, index: int) -> Point:
        """Return the point of the value with this index, if they can be counted."""
        raise NotImplementedError

    @abstractmethod
    def coordinates(self, point: Point) -> list[float]:
        """Return a point as numbers in [0, 1]: one, or one for each choice without an order."""

    @abstractmethod
    def distribution(self) -> BaseDistribution:
        """Return the dimension as a distribution of Optuna's."""

    def to_optuna(self, point: Point) -> Point:
        """Return a point as Optuna's `distribution` has it."""
        return point

    def from_optuna(self, point: Point) -> Point:
        """Return the point that Optuna proposes."""
        return point

    @abstractmethod
    def signature(self) -> tuple[Any, ...]:
        """Return what tells samplers that two dimensions are alike."""


@dataclass(frozen=True, eq=False)
class Choices(Dimension):
    """A list of values, any objects; a point is an index.

    Distinct numbers are ordered for samplers, so that 4 lies between 2 and 8.
    """

    values: tuple[Any, ...]

    @cached_property
    def _order(self) -> tuple[int, ...] | None:
        """Indices by ascending value, if the values are distinct finite numbers, three or more."""
        numbers = [
            v for v in self.values if isinstance(v, Real) and not isinstance(v, bool | complex)
        ]
        if len(numbers) < max(3, len(self.values)) or len(set(numbers)) < len(numbers):
            return None
        if not all(math.isfinite(v) for v in numbers):
            return None
        return tuple(sorted(range(len(numbers)), key=numbers.__getitem__))

    @property
    def size(self) -> int:
        """Number of values."""
        return len(self.values)

    def value(self, point: Point) -> Any:
        """Return the value at a point."""
        return self.values[int(point)]

    def at(self, share: float) -> Point:
        """Return the point at a share of the dimension."""
        return self.from_optuna(min(int(share * self.size), self.size - 1))

    def nth(self, index: int) -> Point:
        """Return the point of a value."""
        return index

    def coordinates(self, point: Point) -> list[float]:
        """Return a point as numbers in [0, 1]."""
        if self._order is not None:
            return [self._order.index(int(point)) / (self.size - 1)]
        return [float(i == point) for i in range(self.size)]

    def distribution(self) -> BaseDistribution:
        """Return Optuna's distribution."""
        from optuna.distributions import CategoricalDistribution, IntDistribution

        if self._order is not None:
            return IntDistribution(0, self.size - 1)
        return CategoricalDistribution(list(range(self.size)))

    def to_optuna(self, point: Point) -> Point:
        """Return a point as Optuna has it."""
        return point if self._order is None else self._order.index(int(point))

    def from_optuna(self, point: Point) -> Point:
        """Return the point of Optuna's."""
        return point if self._order is None else self._order[int(point)]

    def signature(self) -> tuple[Any, ...]:
        """Return what tells two dimensions apart."""
        return ("choices", self.size, self._order)


@dataclass(frozen=True)
class Floating(Dimension):
    """Real numbers from `low` to `high`, both included; with a step, low + k × step."""

    low: float
    high: float
    log: bool = False
    step: float | None = None

    @property
    def size(self) -> int | None:
        """Number of values; None if they cannot be counted."""
        if self.low == self.high:
            return 1
        # Rounding must not lose the last step.
        return None if self.step is None else int((self.high - self.low) / self.step + 1e-9) + 1

    def value(self, point: Point) -> float:
        """Return the value at a point."""
        return float(point)

    def at(self, share: float) -> Point:
        """Return the point at a share of the dimension."""
        if self.size is not None:
            return self.nth(min(int(share * self.size), self.size - 1))
        if self.log:
            low, high = math.log(self.low), math.log(self.high)
            return min(max(math.exp(low + share * (high - low)), self.low), self.high)
        return min(self.low + share * (self.high - self.low), self.high)

    def nth(self, index: int) -> Point:
        """Return the point of a value."""
        return min(self.low + index * (self.step or 0.0), self.high)

    def coordinates(self, point: Point) -> list[float]:
        """Return a point as numbers in [0, 1]."""
        return [_position(point, self.low, self.high, log=self.log)]

    def distribution(self) -> BaseDistribution:
        """Return Optuna's distribution."""
        from optuna.distributions import FloatDistribution

        return FloatDistribution(self.low, self.high, log=self.log, step=self.step)

    def signature(self) -> tuple[Any, ...]:
        """Return what tells two dimensions apart."""
        return ("float", self.low, self.high, self.log, self.step)


@dataclass(frozen=True)
class Integer(Dimension):
    """Whole numbers from `low` to `high`, both included; with a step, low + k × step."""

    low: int
    high: int
    log: bool = False
    step: int = 1

    @property
    def size(self) -> int:
        """Number of values."""
        return (self.high - self.low) // self.step + 1

    def value(self, point: Point) -> int:
        """Return the value at a point."""
        return int(point)

    def at(self, share: float) -> Point:
        """Return the point at a share of the dimension."""
        if self.log:
            # As Optuna draws them: a whole number has the share of half a unit around it.
            low, high = math.log(self.low - 0.5), math.log(self.high + 0.5)
            drawn = round(math.exp(low + share * (high - low)))
            return min(max(drawn, self.low), self.high)
        return self.nth(min(int(share * self.size), self.size - 1))

    def nth(self, index: int) -> Point:
        """Return the point of a value."""
        return self.low + index * self.step

    def coordinates(self, point: Point) -> list[float]:
        """Return a point as numbers in [0, 1]."""
        return [_position(point, self.low, self.high, log=self.log)]

    def distribution(self) -> BaseDistribution:
        """Return Optuna's distribution."""
        from optuna.distributions import IntDistribution

        return IntDistribution(self.low, self.high, log=self.log, step=self.step)

    def signature(self) -> tuple[Any, ...]:
        """Return what tells two dimensions apart."""
        return ("int", self.low, self.high, self.log, self.step)


@dataclass(frozen=True, eq=False)
class Quantile(Dimension):
    """A frozen distribution of SciPy's; a point is a quantile, strictly between 0 and 1."""

    frozen: Any

    def value(self, point: Point) -> Any:
        """Return the value at a point."""
        drawn = self.frozen.ppf(point)
        discrete = hasattr(self.frozen, "pmf")
        return int(drawn) if discrete else float(drawn)

    def at(self, share: float) -> Point:
        """Return the point at a share of the dimension."""
        return min(max(share, _EDGE), 1 - _EDGE)

    def coordinates(self, point: Point) -> list[float]:
        """Return a point as numbers in [0, 1]."""
        return [float(point)]

    def distribution(self) -> BaseDistribution:
        """Return Optuna's distribution."""
        from optuna.distributions import FloatDistribution

        return FloatDistribution(_EDGE, 1 - _EDGE)

    def signature(self) -> tuple[Any, ...]:
        """Return what tells two dimensions apart."""
        return ("quantile",)


def _position(point: Point, low: float, high: float, *, log: bool) -> float:
    if low == high:
        return 0.5
    if log:
        point, low, high = math.log(point), math.log(low), math.log(high)
    return (point - low) / (high - low)


def is_whole(value: Any) -> bool:
    """Tell whether a value is a whole number, of Python's or NumPy's, and no bool."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def plain_values(values: Sequence[Any]) -> tuple[Any, ...]:
    """Return values with NumPy's scalars as Python's, so that they compare and are stored."""
    import numpy as np

    return tuple(v.item() if isinstance(v, np.generic) else v for v in values)
