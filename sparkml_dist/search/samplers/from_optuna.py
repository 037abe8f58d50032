"""Samplers of Optuna's: tree-structured Parzen estimators, and CMA-ES."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.search.dimensions import Dimension, Point
from sparkml_dist.search.samplers.sampler import Sampler
from sparkml_dist.search.space import Setting, Space

if TYPE_CHECKING:
    import optuna

__all__ = ["CmaEsSampler", "OptunaSampler", "TpeSampler"]


class OptunaSampler(Sampler):
    """Asks a study of Optuna's, in memory.

    Raises
    ------
    ConfigurationError
        ``search_missing`` if a package is not installed.
    """

    restores_by_asking = True

    def __init__(self, space: Space, seed: int) -> None:
        super().__init__(space, seed)
        self._check_installed()
        import optuna

        with _quiet():
            self._study = optuna.create_study(sampler=self._new_sampler(0))
        self._trials: dict[int, int] = {}
        self._finished: set[int] = set()
        self._names: dict[tuple[str, tuple[Any, ...]], str] = {}
        self._asked: tuple[int, dict[str, Point]] | None = None

    @staticmethod
    def _check_installed(*packages: str) -> None:
        from importlib.util import find_spec

        for package in ("optuna", *packages):
            if find_spec(package) is None:
                raise ConfigurationError(
                    "search_missing",
                    f"The sampler needs the package {package!r}, which is not installed.",
                    "Run: pip install 'sparkml_dist[search]'.",
                )

    def _new_sampler(self, seed: int) -> optuna.samplers.BaseSampler:
        raise NotImplementedError

    def _propose(self, number: int) -> Setting:
        with _quiet():
            # A sampler per trial: its random numbers are a function of the seed and the trial.
            self._study.sampler = self._new_sampler(_seed(self._seed, number))
            trial = self._study.ask()
            setting = self.space.draw(_FromTrial(trial, self._names))
        self._asked = (trial.number, setting.points)
        return setting

    def _kept(self, number: int, setting: Setting) -> None:
        super()._kept(number, setting)
        import optuna

        assert self._asked is not None
        at, points = self._asked
        with _quiet():
            if setting.points != points:
                # Another setting is run than the one that the study proposed.
                self._study.tell(at, state=optuna.trial.TrialState.FAIL)
                fixed = _Fixed(setting.points, self._names)
                self.space.draw(fixed)
                self._study.enqueue_trial(fixed.params)
                trial = self._study.ask()
                self.space.draw(_FromTrial(trial, self._names))
                at = trial.number
        self._trials[number] = at

    def _told(self, number: int, rung: int, loss: float) -> None:
        super()._told(number, rung, loss)
        with _quiet():
            if number not in self._finished:
                self._finished.add(number)
                self._study.tell(self._trials[number], loss)
            else:
                self._tell_again(self._trials[number], loss)

    def _tell_again(self, at: int, loss: float) -> None:
        """Replace the loss of a trial, which Optuna cannot: the study is made anew."""
        import optuna

        old = self._study
        self._study = optuna.create_study(sampler=old.sampler)
        for trial in old.get_trials(deepcopy=False):
            if trial.number == at:
                trial = copy(trial)
                trial.value = loss
            self._study.add_trial(trial)


class TpeSampler(OptunaSampler):
    """Tree-structured Parzen estimators, multivariate, in groups of parameters that go together.

    References
    ----------
    Bergstra, Bardenet, Bengio, Kégl (2011), "Algorithms for hyper-parameter optimization".
    """

    def _new_sampler(self, seed: int) -> optuna.samplers.BaseSampler:
        from optuna.samplers import TPESampler

        return TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)


class CmaEsSampler(OptunaSampler):
    """CMA-ES over numbers; choices without an order, and parameters that not all trials have, by
    tree-structured Parzen estimators.

    References
    ----------
    Hansen, Ostermeier (2001), "Completely derandomized self-adaptation in evolution strategies".
    """

    def __init__(self, space: Space, seed: int) -> None:
        self._check_installed("cmaes")
        super().__init__(space, seed)

    def _new_sampler(self, seed: int) -> optuna.samplers.BaseSampler:
        from optuna.samplers import CmaEsSampler as Optunas
        from optuna.samplers import TPESampler

        others = TPESampler(seed=seed, multivariate=False)
        return Optunas(seed=seed, independent_sampler=others, warn_independent_sampling=False)


class _FromTrial:
    """Points that a trial of Optuna's proposes."""

    def __init__(self, trial: optuna.Trial, names: dict[tuple[str, tuple[Any, ...]], str]) -> None:
        self._trial = trial
        self._names = names

    def take(self, name: str, dimension: Dimension) -> Point:
        from optuna.distributions import FloatDistribution, IntDistribution

        d = dimension.distribution()
        name = _name(self._names, name, dimension)
        found: Point
        if isinstance(d, FloatDistribution):
            found = self._trial.suggest_float(name, d.low, d.high, step=d.step, log=d.log)
        elif isinstance(d, IntDistribution):
            found = self._trial.suggest_int(name, d.low, d.high, step=d.step, log=d.log)
        else:
            found = self._trial.suggest_categorical(name, range(dimension.size or 0))
        return dimension.from_optuna(found)


class _Fixed:
    """Given points, in Optuna's terms."""

    def __init__(
        self, points: dict[str, Point], names: dict[tuple[str, tuple[Any, ...]], str]
    ) -> None:
        self._points = points
        self._names = names
        self.params: dict[str, Point] = {}

    def take(self, name: str, dimension: Dimension) -> Point:
        point = self._points[name]
        self.params[_name(self._names, name, dimension)] = dimension.to_optuna(point)
        return point


def _name(names: dict[tuple[str, tuple[Any, ...]], str], name: str, dimension: Dimension) -> str:
    """Return a name for the study, another one for each range that a parameter has had."""
    key = (name, dimension.signature())
    if key not in names:
        earlier = sum(1 for known, _ in names if known == name)
        names[key] = f"{name} #{earlier}" if earlier else name
    return names[key]


def _seed(seed: int, number: int) -> int:
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Optuna's messages about each trial, and its warnings of experimental samplers."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(level)
