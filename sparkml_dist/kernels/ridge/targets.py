"""The rows of a block as a ridge regression takes them: targets, weights, held-out rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.dataset.subsets import Validation
from sparkml_dist.kernels.settings import targets_of

__all__ = ["Targets"]


@dataclass(frozen=True)
class Targets:
    """How the label becomes targets, and which rows are held out.

    Attributes
    ----------
    n_classes : int
        0 for a regression; otherwise a column for each class, 1 for its rows and 0 for others.
    validation : Validation or None
    """

    n_classes: int
    validation: Validation | None = None

    @property
    def number(self) -> int:
        """Number of columns of targets."""
        return self.n_classes or 1

    def of(self, block: Any) -> npt.NDArray[np.float64]:
        """Return the targets of a block, shape (n, k)."""
        return targets_of(block.y, self.n_classes)

    def weights(self, block: Any) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return the weights of the rows to learn from, and those of the held-out rows.

        Each is 0 for the rows of the other.
        """
        weight = block.row_weights
        if self.validation is None:
            return weight, np.zeros(len(block))
        held = self.validation.mask(block.key)
        return np.where(held, 0.0, weight), np.where(held, weight, 0.0)
