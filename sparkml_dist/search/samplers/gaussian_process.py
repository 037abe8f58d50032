"""Bayesian optimisation with a Gaussian process."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.search.dimensions import Dimension, Point
from sparkml_dist.search.samplers.sampler import Sampler
from sparkml_dist.search.sources import RandomSource, Source, StoredSource
from sparkml_dist.search.space import Setting, Space

if TYPE_CHECKING:
    from sklearn.gaussian_process import GaussianProcessRegressor

__all__ = ["GaussianProcessSampler"]

Matrix = npt.NDArray[np.float64]

_AT_RANDOM = 10
_MOST_TRIALS = 200
_CANDIDATES = 400
_NEIGHBOURS = 40
_BEST = 5
_STEPS = 25


class GaussianProcessSampler(Sampler):
    """Proposes the setting with the largest expected improvement under a Gaussian process.

    The first ten trials are random. Parameters are scaled to [0, 1] by their distribution, choices
    without an order have a coordinate each, and a parameter that a trial does not have is put in
    the middle. Trials that run count with the loss that the process expects. Of more than 200
    trials, it is fitted to the best and the latest 100.

    References
    ----------
    Jones, Schonlau, Welch (1998), "Efficient global optimization of expensive black-box functions".
    Snoek, Larochelle, Adams (2012), "Practical Bayesian optimization of machine learning
    algorithms".
    """

    def __init__(self, space: Space, seed: int) -> None:
        super().__init__(space, seed)
        self._coordinates: dict[int, dict[str, list[float]]] = {}

    def _kept(self, number: int, setting: Setting) -> None:
        super()._kept(number, setting)
        source = _Coordinates(StoredSource(setting.points))
        self.space.walk(source)
        self._coordinates[number] = source.found

    def _propose(self, number: int) -> Setting:
        told = [n for n in self._losses if n in self.settings]
        rng = self._rng(number)
        if len(told) < _AT_RANDOM or not any(math.isfinite(self._losses[n][1]) for n in told):
            return self.space.random(rng)
        told = self._some(sorted(told))
        losses = _scaled([self._losses[n][1] for n in told])
        running = [n for n in self.settings if n not in self._losses]
        candidates = self._candidates(told, losses, rng)
        rows = [self._coordinates[n] for n in told + running] + [at for _, at in candidates]
        points = _matrix(rows)
        ends = (len(told), len(told) + len(running))
        process = _fitted(points[: ends[0]], losses, number)
        if running:
            expected = process.predict(points[ends[0] : ends[1]])
            losses = np.concatenate([losses, expected])
            process = _fitted(points[: ends[1]], losses, number, process.kernel_)
        gain = _improvement(process, points[ends[1] :], float(losses.min()))
        return self.space.draw(StoredSource(candidates[int(np.argmax(gain))][0]))

    def _some(self, told: list[int]) -> list[int]:
        if len(told) <= _MOST_TRIALS:
            return told
        best = sorted(told, key=lambda n: (self._losses[n][1], n))[: _MOST_TRIALS // 2]
        latest = [n for n in told if n not in best][-_MOST_TRIALS // 2 :]
        return sorted(best + latest)

    def _candidates(
        self, told: Sequence[int], losses: Matrix, rng: np.random.Generator
    ) -> list[tuple[dict[str, Point], dict[str, list[float]]]]:
        """Return the points and coordinates of random settings, and of neighbours of the best."""
        sources: list[Source] = [RandomSource(rng)] * _CANDIDATES
        for at in np.argsort(losses, kind="stable")[:_BEST]:
            points = self.settings[told[int(at)]].points
            sources += [_Near(points, rng) for _ in range(_NEIGHBOURS)]
        found = []
        for source in sources:
            located = _Coordinates(source)
            found.append((self.space.walk(located), located.found))
        return [c for c in found if not self._was_proposed(c[0])] or found


class _Coordinates:
    """A source that keeps the coordinates of the points that another one gives."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.found: dict[str, list[float]] = {}

    def take(self, name: str, dimension: Dimension) -> Point:
        point = self._source.take(name, dimension)
        self.found[name] = dimension.coordinates(point)
        return point


class _Near:
    """A source of points near given ones."""

    def __init__(self, points: dict[str, Point], rng: np.random.Generator) -> None:
        self._points = points
        self._rng = rng
        self._width = 10.0 ** rng.uniform(-2.5, -0.5)

    def take(self, name: str, dimension: Dimension) -> Point:
        share = float(self._rng.random())
        moved, normal = self._rng.random() < 0.5, float(self._rng.normal())
        if name not in self._points:
            return dimension.at(share)
        if not moved:
            return self._points[name]
        at = dimension.coordinates(self._points[name])
        if len(at) > 1:  # without an order, any other choice is as near
            return dimension.at(share)
        return dimension.at(min(max(at[0] + self._width * normal, 0.0), math.nextafter(1.0, 0.0)))


def _scaled(losses: Sequence[float]) -> Matrix:
    """Return losses with mean 0 and deviation 1, the worst and the infinite ones cut off."""
    values = np.asarray(losses, np.float64)
    finite = values[np.isfinite(values)]
    middle, least = float(np.median(finite)), float(finite.min())
    most = min(float(finite.max()), middle + 3 * (middle - least)) if middle > least else middle
    values = np.clip(values, None, max(most, least))
    spread = float(values.std())
    return (values - values.mean()) / (spread if spread > 0 else 1.0)


def _matrix(rows: Sequence[dict[str, list[float]]]) -> Matrix:
    widths = {name: len(at) for row in rows for name, at in row.items()}
    names = sorted(widths)
    return np.array(
        [[x for name in names for x in row.get(name, [0.5] * widths[name])] for row in rows]
    ).reshape(len(rows), -1)


def _fitted(
    points: Matrix, losses: Matrix, seed: int, kernel: Any = None
) -> GaussianProcessRegressor:
    """Return a process fitted to losses; with a given kernel, without another fit of that."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    given = kernel is not None
    if not given:
        scales = np.full(points.shape[1], 0.5)
        smooth = Matern(scales, (0.05, 50.0), nu=2.5)
        kernel = ConstantKernel(1.0, (0.05, 50.0)) * smooth + WhiteKernel(0.01, (1e-6, 1.0))
    process = GaussianProcessRegressor(
        kernel, optimizer=None if given else _few_steps, random_state=seed
    )
    with warnings.catch_warnings():
        # Of length scales at their bounds: the parameter has no influence.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return process.fit(points, losses)


def _few_steps(objective: Any, start: Matrix, bounds: Matrix) -> tuple[Matrix, float]:
    """Minimise by L-BFGS-B; more steps than these change what is proposed hardly at all."""
    from scipy.optimize import minimize

    options = {"maxiter": _STEPS}
    found = minimize(objective, start, jac=True, bounds=bounds, method="L-BFGS-B", options=options)
    return found.x, float(found.fun)


def _improvement(process: GaussianProcessRegressor, points: Matrix, best: float) -> Matrix:
    """Return the expected improvement at each point, shape (n_points,)."""
    from scipy.stats import norm

    mean, deviation = process.predict(points, return_std=True)
    deviation = np.maximum(deviation, 1e-9)
    z = (best - mean) / deviation
    return (best - mean) * norm.cdf(z) + deviation * norm.pdf(z)
