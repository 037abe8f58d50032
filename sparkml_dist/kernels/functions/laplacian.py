"""The Laplacian kernel: rougher than the Gaussian, in the sum of absolute differences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from sparkml_dist.kernels.functions.kernel import Floats, Kernel

__all__ = ["LaplacianKernel"]


@dataclass(frozen=True)
class LaplacianKernel(Kernel):
    """``exp(-|x - z|₁ / l)``, with the sum of absolute differences (scikit-learn's)."""

    name: ClassVar[str] = "laplacian"
    norm: ClassVar[str] = "manhattan"

    def matrix(self, X: Floats, others: Floats) -> Floats:
        """Return the similarities, shape (n, m); see `Kernel.matrix`."""
        from sklearn.metrics.pairwise import laplacian_kernel

        found: Floats = laplacian_kernel(X, others, gamma=1.0 / self.length_scale)
        return found.astype(X.dtype, copy=False)

    def frequencies(
        self, width: int, number: int, rng: np.random.Generator
    ) -> npt.NDArray[np.float64]:
        """Draw Cauchy frequencies, independent in each coordinate, shape (width, number)."""
        return rng.standard_cauchy((width, number)) / self.length_scale
