"""Fits a machine on centres: chooses the solver, the penalty, and says where it ended."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from sparkml_dist.kernels.fourier_map import FourierMap
from sparkml_dist.kernels.nystroem_map import NystroemMap
from sparkml_dist.kernels.ridge.conjugate_gradients import (
    Preconditioner,
    Solution,
    conjugate_gradients,
    first_sums,
    product_of_block,
)
from sparkml_dist.kernels.ridge.held_out import held_loss_of_block
from sparkml_dist.kernels.ridge.logistic import logistic_regression, loss_of_block
from sparkml_dist.kernels.ridge.normal_equations import RidgeMoments, moments_of_block, no_rows
from sparkml_dist.kernels.ridge.targets import Targets
from sparkml_dist.kernels.settings import Centered

__all__ = [
    "SOLVERS",
    "Adding",
    "Machine",
    "SolverSettings",
    "Space",
    "fit_machine",
    "solve_machine",
    "width_of",
]

_logger = logging.getLogger(__name__)

#: Solvers of the squared loss.
SOLVERS = ("auto", "direct", "cg")
# Up to here a task's sums take 32 MB, and one pass costs less than several of gradients.
_MOST_DIRECT = 2000
# Of a preconditioned solver, to the default tolerance.
_USUAL_ITERATIONS = 20

Matrix = npt.NDArray[np.float64]
#: The space that a machine lives in: centres and their kernel, or random features.
Space = Centered | FourierMap


class Adding(Protocol):
    """What a solver sees of the data: sums over all of its rows, whoever forms them."""

    def add(self, function: Callable[..., Any], parameters: Sequence[Any] = ()) -> dict[str, Any]:
        """Add up ``function(block, *parameters)``, a dict of arrays, over all blocks of rows."""
        ...


@dataclass(frozen=True)
class SolverSettings:
    """Checked Params of the solver.

    Attributes
    ----------
    alphas : tuple of float
        Penalties; of several, the best on held-out rows is taken.
    intercept : bool
    loss : {"squared", "logistic"}
    solver : {"auto", "direct", "cg"}
    tol : float
    max_iter : int
    dtype : {"float64", "float32"}
    """

    alphas: tuple[float, ...]
    intercept: bool
    loss: str
    solver: str
    tol: float
    max_iter: int
    dtype: str

    def passes(self, centers: int) -> int:
        """Return about how many passes over the rows a fit takes."""
        if self.is_direct(centers):
            return 1
        tried = len(self.alphas) + (len(self.alphas) > 1)
        return 1 + tried * min(self.max_iter, _USUAL_ITERATIONS)

    def is_direct(self, centers: int) -> bool:
        """Tell whether the normal equations are formed."""
        if self.loss != "squared":
            return False
        return self.solver == "direct" or (self.solver == "auto" and centers <= _MOST_DIRECT)


@dataclass(frozen=True)
class Machine:
    """A fitted machine.

    Attributes
    ----------
    coefficients : ndarray of float64, shape (m, k)
        Of the similarities to the centres.
    intercept : ndarray of float64, shape (k,)
    summary : dict
        ``solver``, ``alpha``, ``path`` (alpha and held-out loss of each), ``iterations``,
        ``passes``, ``residual`` and ``converged`` of iterative solvers.
    """

    coefficients: Matrix
    intercept: Matrix
    summary: dict[str, Any]


def width_of(found: Space) -> int:
    """Return the number of centres or random features."""
    return found.n_outputs if isinstance(found, FourierMap) else len(found.centers)


def solve_machine(sums: Adding, problem: tuple[Space, Targets, SolverSettings]) -> dict[str, Any]:
    """Fit a machine on centres; return it as a dict, which a gang sends to the driver."""
    return vars(fit_machine(sums, *problem))


def fit_machine(
    source: Adding, found: Space, targets: Targets, settings: SolverSettings
) -> Machine:
    """Fit a machine on centres.

    Parameters
    ----------
    source : Adding
    found : Centered or FourierMap
    targets : Targets
        With held-out rows if there are several penalties.
    settings : SolverSettings

    Raises
    ------
    DataError
        ``empty_data``, ``no_validation_rows``, ``not_finite``.
    """
    if settings.is_direct(width_of(found)):
        machine = _direct(source, found, targets, settings)
    else:
        machine = _Iterative(source, found, targets, settings).fit()
    summary = machine.summary
    if not summary.get("converged", True):
        _logger.warning(
            "the solver ended after %d iterations with a relative residual of %.2g",
            summary["iterations"],
            summary["residual"],
        )
    return machine


def _direct(source: Adding, found: Space, targets: Targets, settings: SolverSettings) -> Machine:
    features: NystroemMap | FourierMap
    if isinstance(found, FourierMap):
        features, white = replace(found, dtype=settings.dtype), None
    else:
        features = NystroemMap.of(found, settings.dtype)
        white = features.whitening
    sums = source.add(moments_of_block, (features, targets))
    learnt = RidgeMoments.of(sums)
    if learnt.weight <= 0:
        raise no_rows()
    alphas, path, best = settings.alphas, [], settings.alphas[0]
    if len(alphas) > 1:
        held = RidgeMoments.of(sums, "held_")
        if held.weight <= 0:
            raise no_rows(held_out=True)
        tried = learnt.solved(alphas, intercept=settings.intercept)
        losses = [held.squared_error(*solution) for solution in tried]
        path = _path(alphas, losses)
        best = alphas[int(np.argmin(losses))]
        learnt = learnt + held
    (coefficients, intercept) = learnt.solved([best], intercept=settings.intercept)[0]
    summary = {
        "solver": "direct",
        "alpha": best,
        "path": path,
        "passes": 1,
        "rank": features.n_outputs,
        "converged": True,
        "squared_error": learnt.squared_error(coefficients, intercept),
    }
    if white is not None:
        coefficients = white.astype(np.float64) @ coefficients
    return Machine(coefficients, intercept, summary)


def _path(alphas: Sequence[float], losses: Sequence[float]) -> list[dict[str, float]]:
    return [{"alpha": a, "loss": float(x)} for a, x in zip(alphas, losses, strict=True)]


class _Iterative:
    """Conjugate gradients for the squared loss, and L-BFGS for the logistic one."""

    def __init__(
        self, source: Adding, found: Space, targets: Targets, settings: SolverSettings
    ) -> None:
        self.source, self.targets, self.settings = source, targets, settings
        self.similarities: NystroemMap | FourierMap
        if isinstance(found, FourierMap):
            self.similarities = replace(found, dtype=settings.dtype)
            self.root = np.eye(found.n_outputs)
        else:
            self.similarities = NystroemMap.of(found, settings.dtype, whitened=False)
            self.root = Preconditioner.root_of(found.kernel.matrix(found.centers, found.centers))
        self.passes = 0

    def fit(self) -> Machine:
        """Return the machine of the best penalty, fitted on all rows."""
        settings, targets = self.settings, self.targets
        alphas, path, best = settings.alphas, [], settings.alphas[0]
        if len(alphas) > 1:
            tried = self._machines(alphas, targets)
            held = self._add(
                held_loss_of_block,
                targets,
                np.stack([m.coefficients for m in tried]),
                np.stack([m.intercept for m in tried]),
                settings.loss,
            )
            if held["weight"] <= 0:
                raise no_rows(held_out=True)
            losses = held["loss"] / held["weight"]
            path, best = _path(alphas, losses), alphas[int(np.argmin(losses))]
        (machine,) = self._machines([best], replace(targets, validation=None))
        machine.summary.update(alpha=best, path=path, passes=self.passes)
        return machine

    def _add(self, function: Any, targets: Targets, *parameters: Any) -> dict[str, Any]:
        self.passes += 1
        return self.source.add(function, (self.similarities, targets, *parameters))

    def _machines(self, alphas: Sequence[float], targets: Targets) -> list[Machine]:
        sums = self._add(first_sums, targets)
        if sums["weight"] <= 0:
            raise no_rows()
        if self.settings.loss == "logistic":
            return self._logistic(alphas, targets, float(sums["weight"]))
        return [self._squared(alpha, targets, sums) for alpha in alphas]

    def _squared(self, alpha: float, targets: Targets, sums: dict[str, Any]) -> Machine:
        settings, weight = self.settings, float(sums["weight"])
        moment, total = sums["moment"], sums["feature_sum"]
        mean = total / weight if settings.intercept else np.zeros(len(total))

        def product(vector: Matrix) -> Matrix:
            found: Matrix = self._add(product_of_block, targets, vector)["product"]
            return found - np.outer(mean, total @ vector)

        found: Solution = conjugate_gradients(
            product,
            moment - np.outer(mean, sums["target_sum"]),
            Preconditioner.of(self.root, weight, alpha),
            alpha,
            tol=settings.tol,
            max_iter=settings.max_iter,
        )
        intercept = np.zeros(targets.number)
        if settings.intercept:
            intercept = (sums["target_sum"] - total @ found.coefficients) / weight
        summary = {
            "solver": "cg",
            "iterations": found.iterations,
            "residual": found.residual,
            "converged": found.converged,
        }
        return Machine(found.coefficients, intercept, summary)

    def _logistic(self, alphas: Sequence[float], targets: Targets, weight: float) -> list[Machine]:
        settings, machines = self.settings, []

        def sums(vector: Matrix, intercept: Matrix) -> dict[str, Any]:
            return self._add(loss_of_block, targets, vector, intercept)

        for alpha in alphas:
            found = logistic_regression(
                sums,
                Preconditioner.of(self.root, weight / 4, alpha),
                weight,
                (self.similarities.n_outputs, targets.number),
                alpha,
                intercept=settings.intercept,
                tol=settings.tol,
                max_iter=settings.max_iter,
            )
            summary = {
                "solver": "l-bfgs",
                "iterations": found.iterations,
                "residual": found.gradient,
                "converged": found.converged,
            }
            machines.append(Machine(found.coefficients, found.intercept, summary))
        return machines
