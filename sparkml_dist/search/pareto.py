"""Trials that no other trial is better than in every respect, and constraints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import ConfigurationError, nearest

__all__ = ["check_constraints", "order", "pareto_front", "violation"]


def pareto_front(losses: npt.ArrayLike) -> list[int]:
    """Return the trials that no other trial dominates.

    One dominates another if it is no worse in any loss and better in one. Trials with equal losses
    do not dominate each other.

    Parameters
    ----------
    losses : array-like of shape (n_trials, n_metrics)
        Smaller is better. A trial with a loss that is not finite is in no front.

    Returns
    -------
    list of int
        Rows, by their first loss ascending.
    """
    table = np.asarray(losses, np.float64)
    if table.size == 0:
        return []
    rows = np.flatnonzero(np.isfinite(table).all(axis=1))
    # Whatever dominates a row comes before it.
    by_losses = rows[np.lexsort(table[rows].T[::-1])]
    front: list[int] = []
    for row in by_losses:
        of_front = table[front] if front else np.empty((0, table.shape[1]))
        no_worse = (of_front <= table[row]).all(axis=1)
        better = (of_front < table[row]).any(axis=1)
        if not (no_worse & better).any():
            front.append(int(row))
    return front


def check_constraints(constraints: Mapping[str, float], known: Sequence[str]) -> None:
    """Raise unless every constraint is an upper bound of a known quantity.

    Raises
    ------
    ConfigurationError
        ``invalid_param``.
    """
    for name, bound in constraints.items():
        if name not in known:
            raise ConfigurationError(
                "invalid_param",
                f"constraints must be of {', '.join(known)}. Got {name!r}.{nearest(name, known)}",
            )
        if isinstance(bound, bool) or not isinstance(bound, int | float) or not bound >= 0:
            raise ConfigurationError(
                "invalid_param", f"constraints[{name!r}] must be a number >= 0. Got {bound!r}."
            )


def violation(values: Mapping[str, float], constraints: Mapping[str, float]) -> float:
    """Return by how much values exceed their bounds: the sum of the excess, relative to each bound.

    Parameters
    ----------
    values : mapping of str to float
    constraints : mapping of str to float
        Upper bound by name. A value that is missing or NaN is infinitely far from its bound.

    Returns
    -------
    float
        0 if all are kept.
    """
    total = 0.0
    for name, bound in constraints.items():
        value = values.get(name, float("nan"))
        if not value <= bound:
            excess = (value - bound) / (bound if bound > 0 else 1.0)
            total += excess if excess == excess else float("inf")
    return total


def order(losses: Sequence[float], violations: Sequence[float]) -> list[int]:
    """Return trials from the best to the worst: those that keep the constraints, by loss; then the
    others, by how far they are from keeping them.

    Parameters
    ----------
    losses, violations : sequence of float, length n_trials
        A loss that is not finite is left out.

    Returns
    -------
    list of int

    References
    ----------
    Deb (2000), "An efficient constraint handling method for genetic algorithms".
    """
    able = [i for i in range(len(losses)) if np.isfinite(losses[i])]
    return sorted(able, key=lambda i: (violations[i], losses[i], i))
