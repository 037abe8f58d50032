"""The one-class machine's function by L-BFGS, each step a sum over shards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.kernels.ridge.feature_map import FeatureMap

__all__ = ["OneClassSolution", "loss_of_block", "one_class"]

Matrix = npt.NDArray[np.float64]

# Width of the parabola in the place of the loss's corner, relative to the offset.
_CORNER = 0.02


def loss_of_block(
    block: Any, features: FeatureMap, weights: Matrix, offset: float, corner: float
) -> dict[str, Any]:
    """Return the weighted sum of the smoothed losses of a block, and its gradients.

    The loss of a row is how far its score falls short of the offset, with a parabola of the width
    `corner` in the place of the corner.

    Parameters
    ----------
    block : Block
    features : FeatureMap
    weights : ndarray of float64, shape (r,)
    offset : float
    corner : float
    """
    found: dict[str, Any] = {
        "loss": 0.0,
        "gradient": np.zeros(len(weights)),
        "offset_gradient": 0.0,
        "outside": 0.0,
        "weight": 0.0,
    }
    weight = block.row_weights
    for rows, mapped in features.chunks(block.X):
        short = offset - mapped @ weights
        w, slope = weight[rows], np.clip(short / corner + 0.5, 0.0, 1.0)
        # The integral of the slope.
        losses = np.where(
            short >= corner / 2, short, np.where(slope > 0, (short + corner / 2) * slope / 2, 0.0)
        )
        found["loss"] += float(w @ losses)
        found["gradient"] -= mapped.T @ (w * slope)
        found["offset_gradient"] += float(w @ slope)
        found["outside"] += float(w @ (short > 0))
        found["weight"] += float(w.sum())
    return found


@dataclass(frozen=True)
class OneClassSolution:
    """Where the minimization ended.

    Attributes
    ----------
    weights : ndarray of float64, shape (r,)
        Of the features.
    offset : float
        Rows with a smaller score are novel.
    outside : float
        Share of the training rows that are.
    passes : int
    gradient : float
        Norm of the gradient relative to that at the start.
    converged : bool
    """

    weights: Matrix
    offset: float
    outside: float
    passes: int
    gradient: float
    converged: bool


def one_class(
    sums: Callable[[Matrix, float, float], dict[str, Any]],
    mean: Matrix,
    share: float,
    *,
    tol: float,
    max_iter: int,
) -> OneClassSolution:
    """Minimize ``|w|² / 2 - offset + mean loss / share``.

    Parameters
    ----------
    sums : callable
        From weights, offset and corner to the sums of `loss_of_block`: a pass over the rows.
    mean : ndarray of float64, shape (r,)
        Of the features: where the minimization begins.
    share : float
        Greatest share of the rows outside, as the corner allows.
    tol : float
        Relative gradient at which to stop.
    max_iter : int

    References
    ----------
    Schölkopf, Platt, Shawe-Taylor, Smola, Williamson (2001), "Estimating the support of a
    high-dimensional distribution".
    """
    from scipy.optimize import minimize

    first = float(mean @ mean)
    corner = _CORNER * first
    state = {"passes": 0, "start": 0.0, "gradient": np.inf, "outside": 0.0}

    def objective(flat: Matrix) -> tuple[float, Matrix]:
        weights, offset = flat[:-1], float(flat[-1])
        found = sums(weights, offset, corner)
        scale = 1.0 / (share * float(found["weight"]))
        value = 0.5 * float(weights @ weights) - offset + scale * float(found["loss"])
        gradient = np.append(
            weights + scale * found["gradient"], scale * float(found["offset_gradient"]) - 1.0
        )
        state["passes"] += 1
        state["gradient"] = float(np.linalg.norm(gradient))
        state["start"] = state["start"] or state["gradient"]
        state["outside"] = float(found["outside"]) / float(found["weight"])
        return value, gradient

    def stop(_: Matrix) -> None:
        if state["gradient"] <= tol * state["start"]:
            raise StopIteration

    flat = minimize(
        objective,
        np.append(mean, first),
        jac=True,
        method="L-BFGS-B",
        callback=stop,
        options={"maxiter": max_iter, "maxcor": 20, "ftol": 0.0, "gtol": 0.0},
    ).x
    # Once more at the end: the last evaluation may have been a step that was not taken.
    objective(flat)
    relative = state["gradient"] / (state["start"] or 1.0)
    return OneClassSolution(
        flat[:-1],
        float(flat[-1]),
        state["outside"],
        int(state["passes"]),
        relative,
        relative <= tol,
    )
