"""What all samplers share: the settings that were proposed, and the losses they got."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from sparkml_dist.search.dimensions import Point
from sparkml_dist.search.sources import StoredSource
from sparkml_dist.search.space import Setting, Space

__all__ = ["Sampler"]

_REDRAWS = 20


class Sampler(ABC):
    """Proposes the settings of trials, from the losses of those before.

    Trial n is drawn with random numbers of its own, which are a function of the seed and n: what
    is proposed depends on the trials asked for and the losses reported before, not on how often
    random numbers were drawn.

    Parameters
    ----------
    space : Space
    seed : int

    Attributes
    ----------
    settings : dict of int to Setting
        By number of the trial.
    restores_by_asking : bool
        Whether a proposal leaves traces that later ones depend on.
    """

    restores_by_asking: ClassVar[bool] = False

    def __init__(self, space: Space, seed: int) -> None:
        self.space = space
        self.settings: dict[int, Setting] = {}
        self._seed = seed % (1 << 63)
        self._losses: dict[int, tuple[int, float]] = {}
        self._seen: set[tuple[tuple[str, Point], ...]] = set()

    def ask(self, number: int) -> Setting:
        """Return the setting of a trial; always the same for the same trial.

        Trials are asked for in the order of their numbers. A setting that was proposed before is
        replaced by a random one that was not, while there are any.

        Parameters
        ----------
        number : int
        """
        if number not in self.settings:
            setting = self._propose(number)
            if self._was_proposed(setting.points):
                setting = self._another(number) or setting
            self._kept(number, setting)
        return self.settings[number]

    def restore(self, number: int, points: Mapping[str, Point]) -> Setting:
        """Take back a trial of an earlier run, with the points that were stored.

        In place of `ask`, in the same order relative to `tell`; what is proposed afterwards is
        what it would be without the interruption.

        Raises
        ------
        ConfigurationError
            ``space_changed`` if the space has no such setting any more.
        """
        if self.restores_by_asking:
            self._propose(number)
        self._kept(number, self.space.draw(StoredSource(points)))
        return self.settings[number]

    def tell(self, number: int, loss: float | None, rung: int = 0) -> None:
        """Take note of a loss of a trial; that of its highest rung counts.

        Parameters
        ----------
        number : int
        loss : float or None
            Smaller is better; None if the trial failed, which counts as the worst.
        rung : int, default=0
        """
        if number not in self._losses or rung >= self._losses[number][0]:
            failed = loss is None or math.isnan(loss)
            self._told(number, rung, math.inf if failed else float(loss or 0.0))

    @property
    def size(self) -> int | None:
        """Number of settings of the space; None if they cannot be counted, or are very many."""
        return self.space.size()

    def _another(self, number: int) -> Setting | None:
        """Return a random setting that was not proposed before, or None if there is none."""
        for attempt in range(1, _REDRAWS):
            setting = self.space.random(self._rng(number, attempt))
            if not self._was_proposed(setting.points):
                return setting
        if self.size is None:
            return None
        left = [s for s in self.space.grid() if not self._was_proposed(s.points)]
        return left[self._rng(number, _REDRAWS).integers(len(left))] if left else None

    def _was_proposed(self, points: Mapping[str, Point]) -> bool:
        return _key(points) in self._seen

    def _rng(self, number: int, attempt: int = 0) -> np.random.Generator:
        return np.random.default_rng([self._seed, number, attempt])

    @abstractmethod
    def _propose(self, number: int) -> Setting:
        """Return the setting of a new trial."""

    def _kept(self, number: int, setting: Setting) -> None:
        """Take note of the setting that a trial has."""
        self.settings[number] = setting
        self._seen.add(_key(setting.points))

    def _told(self, number: int, rung: int, loss: float) -> None:
        """Take note of a loss, infinite for a failure."""
        self._losses[number] = (rung, loss)


def _key(points: Mapping[str, Point]) -> tuple[tuple[str, Point], ...]:
    return tuple(sorted(points.items()))
