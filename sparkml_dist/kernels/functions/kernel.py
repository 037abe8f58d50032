"""What all kernels offer: matrices of similarities, and random features that approximate them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

__all__ = ["Floats", "Kernel"]

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Kernel(ABC):
    """A kernel of rows.

    Attributes
    ----------
    length_scale : float
        Distance over which similarity fades; rows are divided by it.
    """

    length_scale: float = 1.0

    #: Name of the family.
    name: ClassVar[str]
    #: Norm of the distances that the length scale measures, for the median heuristic.
    norm: ClassVar[str] = "euclidean"

    @abstractmethod
    def matrix(self, X: Floats, others: Floats) -> Floats:
        """Return the similarities of the rows of two matrices.

        Parameters
        ----------
        X : ndarray of float, shape (n, d)
        others : ndarray of float, shape (m, d)

        Returns
        -------
        ndarray of the type of `X`, shape (n, m)
        """

    def diagonal(self, X: Floats) -> Floats:
        """Return the similarity of each row to itself, shape (n,)."""
        return np.ones(len(X), X.dtype)

    @abstractmethod
    def frequencies(
        self, width: int, number: int, rng: np.random.Generator
    ) -> npt.NDArray[np.float64]:
        """Draw random directions, shape (width, number), for `random_features`."""

    def features_per_frequency(self) -> int:
        """Return how many features a random direction gives."""
        return 2

    def random_features(self, X: Floats, frequencies: Floats) -> Floats:
        """Return features whose inner products approximate the kernel.

        Cosine and sine of each projection, interleaved by halves: their pairs have a smaller
        variance than cosines with random phases wherever the kernel is not nearly 0.

        Parameters
        ----------
        X : ndarray of float, shape (n, d)
        frequencies : ndarray of float, shape (d, p)

        Returns
        -------
        ndarray of float, shape (n, 2 p)
        """
        projected = X @ frequencies
        scale = projected.dtype.type(1.0 / np.sqrt(frequencies.shape[1]))
        return np.hstack([np.cos(projected), np.sin(projected)]) * scale

    def to_dict(self) -> dict[str, Any]:
        """Return the kernel as JSON values."""
        return {"name": self.name, "length_scale": self.length_scale}
