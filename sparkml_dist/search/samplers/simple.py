"""Samplers that learn nothing from losses: at random, and a grid."""

from __future__ import annotations

from collections.abc import Iterator

from sparkml_dist.search.samplers.sampler import Sampler
from sparkml_dist.search.space import Setting, Space

__all__ = ["GridSampler", "RandomSampler"]


class RandomSampler(Sampler):
    """Draws every parameter from its distribution; from a list uniformly."""

    def _propose(self, number: int) -> Setting:
        return self.space.random(self._rng(number))


class GridSampler(Sampler):
    """Takes every setting once, in the order of scikit-learn's ``ParameterGrid``.

    Raises
    ------
    ConfigurationError
        ``invalid_param`` if a parameter has a range instead of a list.
    """

    def __init__(self, space: Space, seed: int = 0) -> None:
        super().__init__(space, seed)
        self._grid: Iterator[Setting] = space.grid()
        self._ahead: list[Setting] = [next(self._grid)]

    @property
    def size(self) -> int:
        """Number of settings."""
        self._ahead += self._grid
        return len(self._ahead)

    def ask(self, number: int) -> Setting:
        """Return the setting of a trial.

        Raises
        ------
        ValueError
            If the grid has fewer settings.
        """
        while len(self._ahead) <= number:
            following = next(self._grid, None)
            if following is None:
                raise ValueError(f"the grid has {len(self._ahead)} settings, not {number + 1}")
            self._ahead.append(following)
        self.settings[number] = self._ahead[number]
        return self._ahead[number]

    def _propose(self, number: int) -> Setting:
        return self.ask(number)
