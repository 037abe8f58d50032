"""Logistic regression on the similarities to centres, each iteration a sum over shards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.kernels.ridge.conjugate_gradients import Preconditioner
from sparkml_dist.kernels.ridge.feature_map import FeatureMap
from sparkml_dist.kernels.ridge.held_out import log_losses
from sparkml_dist.kernels.ridge.targets import Targets

__all__ = ["LogisticSolution", "logistic_regression", "loss_of_block"]

Matrix = npt.NDArray[np.float64]

_CORRECTIONS = 20


def loss_of_block(
    block: Any, similarities: FeatureMap, targets: Targets, vector: Matrix, intercept: Matrix
) -> dict[str, Any]:
    """Return the log loss of a block and its gradient.

    Parameters
    ----------
    block : Block
    similarities : FeatureMap
        Similarities to centres, without whitening, or random features.
    targets : Targets
    vector : ndarray of float64, shape (m, k)
        Coefficients of the centres for each class.
    intercept : ndarray of float64, shape (k,)
    """
    found: dict[str, Any] = {
        "loss": 0.0,
        "gradient": np.zeros(vector.shape),
        "intercept_gradient": np.zeros(len(intercept)),
        "weight": 0.0,
    }
    y, (weight, _) = targets.of(block), targets.weights(block)
    for rows, alike in similarities.chunks(block.X):
        w = weight[rows]
        margins = (alike @ vector.astype(alike.dtype)).astype(np.float64) + intercept
        losses, share = log_losses(margins, y[rows])
        away = (share - y[rows]) * w[:, None]
        found["loss"] += float(w @ losses)
        found["gradient"] += alike.T @ away.astype(alike.dtype)
        found["intercept_gradient"] += away.sum(axis=0)
        found["weight"] += float(w.sum())
    return found


@dataclass(frozen=True)
class LogisticSolution:
    """Where the minimization ended.

    Attributes
    ----------
    coefficients : ndarray of float64, shape (m, k)
    intercept : ndarray of float64, shape (k,)
    iterations, passes : int
    gradient : float
        Norm of the gradient relative to that of a machine without coefficients, in the
        preconditioner's coordinates.
    converged : bool
    inner : ndarray of float64
        Where to begin for another penalty.
    """

    coefficients: Matrix
    intercept: Matrix
    iterations: int
    passes: int
    gradient: float
    converged: bool
    inner: Matrix


def logistic_regression(
    sums: Callable[[Matrix, Matrix], dict[str, Any]],
    preconditioner: Preconditioner,
    weight: float,
    shape: tuple[int, int],
    alpha: float,
    *,
    intercept: bool,
    tol: float,
    max_iter: int,
    start: Matrix | None = None,
) -> LogisticSolution:
    """Minimize ``Σ w log loss + alpha / 2 |c|²`` over coefficients of Nyström's features.

    L-BFGS in the coordinates of a `Preconditioner` for the curvature of equal odds, 1/4. Classes
    are fitted together (softmax).

    Parameters
    ----------
    sums : callable
        From coefficients (m, k) and intercepts (k,) to the sums of `loss_of_block`: a pass over
        the rows.
    preconditioner : Preconditioner
        For a quarter of the weight of the rows.
    weight : float
        Of all rows.
    shape : (int, int)
        (m, k).
    alpha : float
    intercept : bool
    tol : float
        Relative gradient at which to stop.
    max_iter : int
        Most iterations.
    start : ndarray, optional
        `LogisticSolution.inner` of another penalty.

    References
    ----------
    Liu, Nocedal (1989), "On the limited memory BFGS method for large scale optimization".
    """
    from scipy.optimize import minimize

    m, k = shape
    scale = np.sqrt(max(weight, 1.0) / 4)
    state = {"passes": 0, "first": 0.0, "gradient": np.inf, "iterations": 0}

    def split(flat: Matrix) -> tuple[Matrix, Matrix, Matrix]:
        inner = flat[: m * k].reshape(m, k)
        free = flat[m * k :] / scale if intercept else np.zeros(k)
        return inner, preconditioner.to_coefficients(inner), free

    def objective(flat: Matrix) -> tuple[float, Matrix]:
        inner, vector, free = split(flat)
        found = sums(vector, free)
        state["passes"] += 1
        features = preconditioner.features_of(inner)
        value = float(found["loss"]) + alpha / 2 * float((features**2).sum())
        gradient = preconditioner.from_moments(found["gradient"])
        gradient += preconditioner.shrunk(inner, alpha)
        parts = [gradient.ravel()]
        if intercept:
            parts.append(found["intercept_gradient"] / scale)
        return value, np.concatenate(parts)

    def watched(flat: Matrix) -> tuple[float, Matrix]:
        value, gradient = objective(flat)
        state["gradient"] = float(np.linalg.norm(gradient))
        return value, gradient

    zeros = np.zeros(m * k + (k if intercept else 0))
    state["first"] = float(np.linalg.norm(objective(zeros)[1])) or 1.0

    def stop(_: Matrix) -> None:
        state["iterations"] += 1
        if state["gradient"] <= tol * state["first"]:
            raise StopIteration

    flat = minimize(
        watched,
        zeros if start is None else start,
        jac=True,
        method="L-BFGS-B",
        callback=stop,
        options={"maxiter": max_iter, "maxcor": _CORRECTIONS, "ftol": 0.0, "gtol": 0.0},
    ).x
    _, vector, free = split(flat)
    relative = state["gradient"] / state["first"]
    return LogisticSolution(
        vector,
        free,
        int(state["iterations"]),
        int(state["passes"]),
        relative,
        relative <= tol,
        flat,
    )
