"""Subsets of rows that a fit holds out, as functions of row keys: validation sets and folds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparkml_dist.dataset.hashing import uniform
from sparkml_dist.dataset.splits import folds

__all__ = ["Fold", "Subset", "Validation"]


@dataclass(frozen=True)
class Fold:
    """One of several folds: every row is in exactly one, rows with equal keys in the same.

    Attributes
    ----------
    n_folds : int
    index : int
        From 0 to ``n_folds - 1``.
    seed : int
    """

    n_folds: int
    index: int
    seed: int

    def mask(self, key: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Tell which rows are in the fold, shape (n,)."""
        return folds(key, self.n_folds, seed=self.seed) == self.index


@dataclass(frozen=True)
class Validation:
    """A random share of the rows, held out from the members for validation.

    The draws differ from those of `split`: otherwise no row would be left here after a `split` by
    the same keys and seed.

    Attributes
    ----------
    fraction : float
    seed : int
    """

    fraction: float
    seed: int

    def mask(self, key: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Tell which rows are held out, shape (n,)."""
        return uniform(key, self.seed, "validation") < self.fraction


Subset = Fold | Validation
