"""What a solver found, and which of its rules ended it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Minimum"]


@dataclass(frozen=True)
class Minimum:
    """The result of an iterative solver.

    Attributes
    ----------
    x : ndarray of shape (p,)
    iterations : int
    converged : bool
    stopped : str
        The rule that ended the iterations, with its value.
    """

    x: npt.NDArray[np.float64]
    iterations: int
    converged: bool
    stopped: str
