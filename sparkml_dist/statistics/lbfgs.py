"""Limited-memory BFGS, by SciPy: its driver sees values and gradients only.

References
----------
Liu, Nocedal (1989), "On the limited memory BFGS method for large scale optimization".
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from sparkml_dist.statistics.minimum import Minimum

__all__ = ["lbfgs"]

Array = npt.NDArray[np.float64]


def lbfgs(
    objective: Callable[[Array], tuple[float, Array]],
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
    begin : ndarray of shape (p,)
    tol : float
        Ends when the largest part of the gradient is at most this share of its first value.
    max_iter : int

    Returns
    -------
    Minimum
    """
    from scipy.optimize import minimize

    first = float(np.max(np.abs(objective(begin)[1]), initial=0.0))
    found = minimize(
        objective,
        begin,
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": max_iter, "maxfun": 20 * max_iter, "gtol": tol * first, "ftol": 0.0},
    )
    share = float(np.max(np.abs(found.jac), initial=0.0)) / max(first, 1e-300)
    # Where no step along the direction improves the value in its last digits, it has converged.
    done = share <= tol or (found.status == 2 and share <= 1e3 * tol)
    rule = f"the gradient is {share:.1e} of its first value (tol={tol:g})"
    return Minimum(np.asarray(found.x), int(found.nit), bool(done), rule)
