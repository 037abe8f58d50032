"""Arc-cosine kernels: those of infinitely wide networks of one hidden layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from sparkml_dist.kernels.functions.kernel import Floats, Kernel

__all__ = ["ArcCosineKernel"]


@dataclass(frozen=True)
class ArcCosineKernel(Kernel):
    """The arc-cosine kernel of order 0 (threshold units) or 1 (rectified linear units).

    With the angle θ between two rows: ``1 - θ / π``, and ``|x| |z| (sin θ + (π - θ) cos θ) / π``.
    It depends on the origin: standardize the features, or centre them.

    Attributes
    ----------
    degree : int
        0 or 1.

    References
    ----------
    Cho, Saul (2009), "Kernel methods for deep learning".
    """

    degree: int = 1

    name: ClassVar[str] = "arccos"

    def matrix(self, X: Floats, others: Floats) -> Floats:
        """Return the similarities, shape (n, m); see `Kernel.matrix`."""
        scale = X.dtype.type(1.0 / self.length_scale)
        x, z = X * scale, others * scale
        norms = np.linalg.norm(x, axis=1)[:, None] * np.linalg.norm(z, axis=1)
        safe = np.where(norms > 0, norms, 1.0)
        cosine = np.clip(x @ z.T / safe, -1.0, 1.0)
        # A row of zeros forms a right angle with every other.
        angle = np.arccos(cosine)
        if self.degree == 0:
            found = 1.0 - angle / np.pi
        else:
            found = norms * (np.sin(angle) + (np.pi - angle) * cosine) / np.pi
        return found.astype(X.dtype, copy=False)

    def diagonal(self, X: Floats) -> Floats:
        """Return the similarity of each row to itself, shape (n,)."""
        if self.degree == 0:
            return np.where(X.any(axis=1), 1.0, 0.5).astype(X.dtype)
        return np.einsum("ij,ij->i", X, X) / X.dtype.type(self.length_scale**2)

    def frequencies(
        self, width: int, number: int, rng: np.random.Generator
    ) -> npt.NDArray[np.float64]:
        """Draw normal directions, shape (width, number)."""
        return rng.standard_normal((width, number)) / self.length_scale

    def features_per_frequency(self) -> int:
        """Return 1: a unit of the hidden layer."""
        return 1

    def random_features(self, X: Floats, frequencies: Floats) -> Floats:
        """Return the outputs of random units, shape (n, p); see `Kernel.random_features`."""
        projected = X @ frequencies
        scale = projected.dtype.type(np.sqrt(2.0 / frequencies.shape[1]))
        if self.degree == 0:
            return np.where(projected > 0, scale, projected.dtype.type(0))
        return np.maximum(projected, 0) * scale

    def to_dict(self) -> dict[str, Any]:
        """Return the kernel as JSON values."""
        return {**super().to_dict(), "degree": self.degree}
