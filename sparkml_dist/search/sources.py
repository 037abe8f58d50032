"""Where the points of a trial come from: chance, a grid, or what was stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.search.dimensions import Dimension, Point

if TYPE_CHECKING:
    import numpy as np

__all__ = ["GridSource", "RandomSource", "Source", "StoredSource", "next_position"]


class Source(Protocol):
    """Answers a space that asks for one point after another."""

    def take(self, name: str, dimension: Dimension) -> Point:
        """Return the point of the dimension with this name."""
        ...


class RandomSource:
    """Draws each point from its distribution.

    Parameters
    ----------
    rng : numpy.random.Generator
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def take(self, name: str, dimension: Dimension) -> Point:
        """Return a random point."""
        return dimension.at(float(self._rng.random()))


class StoredSource:
    """Gives the points of a trial that was stored.

    Parameters
    ----------
    points : mapping of str to number
    """

    def __init__(self, points: Mapping[str, Point]) -> None:
        self._points = points

    def take(self, name: str, dimension: Dimension) -> Point:
        """Return the stored point.

        Raises
        ------
        ConfigurationError
            ``space_changed`` if the trial has none of that name.
        """
        if name not in self._points:
            raise ConfigurationError(
                "space_changed",
                f"A stored trial has no value of {name!r}.",
                "Resume a search with the space that it was started with, or start a new one.",
            )
        return self._points[name]


class GridSource:
    """Gives the values at given indices, and the first of each dimension after these.

    Parameters
    ----------
    position : sequence of int
        Index of the value of the first, second, … dimension that is asked for.
    """

    def __init__(self, position: Sequence[int]) -> None:
        self.position = list(position)
        self.sizes: list[int] = []

    def take(self, name: str, dimension: Dimension) -> Point:
        """Return the point of the value at the dimension's index.

        Raises
        ------
        ConfigurationError
            ``invalid_param`` if the values cannot be counted.
        """
        if dimension.size is None:
            raise ConfigurationError(
                "invalid_param",
                f"A grid needs a list of values for each parameter. {name!r} is a range.",
                "Give a list or a step, or choose another sampler.",
            )
        at = len(self.sizes)
        if at == len(self.position):
            self.position.append(0)
        self.sizes.append(dimension.size)
        return dimension.nth(self.position[at])


def next_position(source: GridSource) -> Iterator[list[int]]:
    """Yield the position after that of a source, the last dimension fastest; nothing at the end."""
    for at in reversed(range(len(source.sizes))):
        if source.position[at] + 1 < source.sizes[at]:
            yield [*source.position[:at], source.position[at] + 1]
            return
