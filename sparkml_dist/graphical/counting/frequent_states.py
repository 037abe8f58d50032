"""Counts of rows outside the most frequent states, completed from those of fewer variables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["completed"]

Counts = npt.NDArray[np.int64]


def completed(found: Counts, shape: Sequence[int], rests: Mapping[int, tuple[int, Counts]]) -> None:
    """Fill in the cells of the most frequent states of a base, in place.

    Parameters
    ----------
    found : ndarray of int64, shape (cells, S)
        Counts of the rows in which none of some variables is in its most frequent state.
    shape : sequence of int
        Numbers of states of the base's variables.
    rests : mapping of int to (int, ndarray of int64)
        By the position in the base of each of these variables: its most frequent state, and the
        counts of the base without it, of all rows. No row lacks the value of such a variable.

    Notes
    -----
    What is in the most frequent state of a variable is what is not in the others, as in the
    AD-trees of Moore and Lee (1998), "Cached sufficient statistics for efficient machine learning
    with large datasets", JAIR 8.
    """
    states = found.shape[1]
    axes = found.reshape(*shape, states)
    for i, (mode, rest) in rests.items():
        at = (slice(None),) * i + (mode,)
        axes[at] = 0
        axes[at] = rest.reshape(*shape[:i], *shape[i + 1 :], states) - axes.sum(axis=i)
