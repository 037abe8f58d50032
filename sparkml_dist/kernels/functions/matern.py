"""Matérn kernels: of functions with a given number of derivatives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from sparkml_dist.kernels.functions.kernel import Floats, Kernel

__all__ = ["MaternKernel"]


@dataclass(frozen=True)
class MaternKernel(Kernel):
    """The Matérn kernel, as in scikit-learn.

    Attributes
    ----------
    nu : float
        Smoothness: functions have ``ceil(nu) - 1`` derivatives. 0.5 is ``exp(-|x - z| / l)``;
        1.5 and 2.5 are as fast; other values need a Bessel function.
    """

    nu: float = 1.5

    name: ClassVar[str] = "matern"

    def matrix(self, X: Floats, others: Floats) -> Floats:
        """Return the similarities, shape (n, m); see `Kernel.matrix`."""
        from sklearn.gaussian_process.kernels import Matern

        found: Floats = Matern(length_scale=self.length_scale, nu=self.nu)(X, others)
        return found.astype(X.dtype, copy=False)

    def frequencies(
        self, width: int, number: int, rng: np.random.Generator
    ) -> npt.NDArray[np.float64]:
        """Draw frequencies of Student's multivariate t with 2 nu degrees of freedom."""
        normal = rng.standard_normal((width, number))
        return (
            normal
            / np.sqrt(rng.chisquare(2 * self.nu, number) / (2 * self.nu))
            / (self.length_scale)
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the kernel as JSON values."""
        return {**super().to_dict(), "nu": self.nu}
