"""Trust-region Newton with conjugate gradients: products with the information, never the matrix.

References
----------
Lin, Weng, Keerthi (2008), "Trust region Newton method for large-scale logistic regression",
Journal of Machine Learning Research 9. Steihaug (1983), SIAM Journal on Numerical Analysis 20.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from sparkml_dist.statistics.minimum import Minimum

__all__ = ["newton_cg"]

Array = npt.NDArray[np.float64]
Product = Callable[[Array], Array]

_ACCEPTED = 1e-4
_CG_SHARE, _MOST_CG = 0.1, 250


def newton_cg(
    objective: Callable[[Array], tuple[float, Array]],
    curvature: Callable[[Array], Product],
    begin: Array,
    *,
    tol: float,
    max_iter: int,
) -> Minimum:
    """Minimize a smooth function.

    Parameters
    ----------
    objective : callable
        Returns value and gradient; one pass over the data.
    curvature : callable
        Returns, at a point, the function that multiplies with the curvature; one pass each.
    begin : ndarray of shape (p,)
    tol : float
        Ends when the gradient is at most this share of its first length.
    max_iter : int

    Returns
    -------
    Minimum
    """
    x = begin.copy()
    value, gradient = objective(x)
    first = norm = float(np.linalg.norm(gradient))
    radius, iteration = norm, 0
    while norm > tol * first and iteration < max_iter:
        iteration += 1
        step, predicted = _steihaug(curvature(x), gradient, radius)
        new, new_gradient = objective(x + step)
        actual = value - new
        ratio = actual / predicted if predicted > 0 else -1.0
        length = float(np.linalg.norm(step))
        if iteration == 1:
            radius = min(radius, length)
        if ratio < 0.25:
            radius = max(0.25 * min(length, radius), 1e-16)
        elif ratio > 0.75:
            radius = max(radius, 2.0 * length)
        tiny = abs(actual) <= 1e-14 * abs(value) and predicted <= 1e-14 * abs(value)
        if ratio > _ACCEPTED or tiny:
            x, value, gradient = x + step, new, new_gradient
            norm = float(np.linalg.norm(gradient))
        if tiny or radius <= 1e-15 * max(1.0, float(np.linalg.norm(x))):
            break
    share = norm / max(first, 1e-300)
    rule = f"the gradient is {share:.1e} of its first length (tol={tol:g})"
    return Minimum(x, iteration, bool(share <= tol or first == 0), rule)


def _steihaug(times: Product, gradient: Array, radius: float) -> tuple[Array, float]:
    """Return a step inside the radius, and by how much the quadratic model falls."""
    step = np.zeros_like(gradient)
    residual = -gradient
    direction = residual.copy()
    squared = float(residual @ residual)
    goal = (_CG_SHARE * np.sqrt(squared)) ** 2
    for _ in range(_MOST_CG):
        if squared <= goal:
            break
        product = times(direction)
        curve = float(direction @ product)
        length = squared / curve if curve > 0 else np.inf
        ahead = step + length * direction if np.isfinite(length) else None
        if ahead is None or np.linalg.norm(ahead) >= radius:
            a, b = float(direction @ direction), 2.0 * float(step @ direction)
            c = float(step @ step) - radius * radius
            length = (-b + np.sqrt(max(b * b - 4.0 * a * c, 0.0))) / (2.0 * a)
            step = step + length * direction
            residual = residual - length * product
            break
        step = ahead
        residual = residual - length * product
        new = float(residual @ residual)
        direction = residual + new / squared * direction
        squared = new
    # gradient'step + step'H step / 2, with H step = -gradient - residual.
    predicted = -0.5 * float(step @ (gradient - residual))
    return step, predicted
