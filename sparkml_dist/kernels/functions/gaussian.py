"""The Gaussian kernel, also called radial basis function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from sparkml_dist.kernels.functions.kernel import Floats, Kernel

__all__ = ["GaussianKernel"]


@dataclass(frozen=True)
class GaussianKernel(Kernel):
    """``exp(-|x - z|² / (2 l²))``.

    Examples
    --------
    >>> float(GaussianKernel(1.0).matrix(np.zeros((1, 1)), np.ones((1, 1)))[0, 0]).__round__(4)
    0.6065
    """

    name: ClassVar[str] = "rbf"

    def matrix(self, X: Floats, others: Floats) -> Floats:
        """Return the similarities, shape (n, m); see `Kernel.matrix`."""
        # Distances by one matrix product; relative to a point among the rows, so that its
        # cancellation costs no digits where all of them lie far from the origin.
        origin = others.mean(axis=0)
        scale = X.dtype.type(1.0 / self.length_scale)
        x, z = (X - origin) * scale, (others - origin) * scale
        half = X.dtype.type(-0.5)
        found = x @ z.T
        found += half * np.einsum("ij,ij->i", x, x)[:, None]
        found += half * np.einsum("ij,ij->i", z, z)
        np.minimum(found, 0.0, out=found)
        return np.exp(found, out=found)

    def frequencies(
        self, width: int, number: int, rng: np.random.Generator
    ) -> npt.NDArray[np.float64]:
        """Draw normal frequencies, shape (width, number)."""
        return rng.standard_normal((width, number)) / self.length_scale
