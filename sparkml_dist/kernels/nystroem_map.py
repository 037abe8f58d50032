"""Nyström's features: similarities to centres, whose inner products are the kernel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.kernels.functions.kernel import Floats, Kernel
from sparkml_dist.kernels.scaling import Scaling
from sparkml_dist.kernels.settings import Centered

__all__ = ["NystroemMap", "row_chunks", "whitening"]

# Bytes of the similarities that are computed at a time.
_CHUNK_BYTES = 32 << 20
_LEAST_CHUNK = 256


def whitening(gram: Floats) -> npt.NDArray[np.float64]:
    """Return W with ``W Wᵀ`` the pseudo-inverse of a kernel matrix of centres.

    Directions whose eigenvalues are rounding errors are left out.

    Parameters
    ----------
    gram : ndarray of float, shape (m, m)

    Returns
    -------
    ndarray of float64, shape (m, r)
        Its columns belong to descending eigenvalues.
    """
    values, vectors = np.linalg.eigh(gram)
    values, vectors = values[::-1], vectors[:, ::-1]
    sound = values > len(gram) * np.finfo(np.float64).eps * values[0]
    return np.ascontiguousarray(vectors[:, sound] / np.sqrt(values[sound]))


def row_chunks(rows: int, width: int, itemsize: int = 8) -> Iterator[slice]:
    """Yield slices of rows whose matrices of `width` columns take few megabytes."""
    step = max(_LEAST_CHUNK, _CHUNK_BYTES // (itemsize * max(1, width)))
    for start in range(0, rows, step):
        yield slice(start, min(rows, start + step))


@dataclass(frozen=True)
class NystroemMap:
    """Maps rows to Nyström's features.

    Attributes
    ----------
    kernel : Kernel
    scaling : Scaling
    centers : ndarray, shape (m, d)
    whitening : ndarray, shape (m, r)
        Identity for plain similarities where None.
    dtype : str
        ``"float64"`` or ``"float32"``: in which similarities are computed.
    """

    kernel: Kernel
    scaling: Scaling
    centers: npt.NDArray[Any]
    whitening: npt.NDArray[Any] | None = None
    dtype: str = "float64"

    @classmethod
    def of(cls, found: Centered, dtype: str = "float64", *, whitened: bool = True) -> NystroemMap:
        """Return the map of a kernel and its centres."""
        centers = found.centers.astype(dtype)
        white = None
        if whitened:
            white = whitening(found.kernel.matrix(found.centers, found.centers)).astype(dtype)
        return cls(found.kernel, found.scaling, centers, white, dtype)

    @property
    def n_outputs(self) -> int:
        """Number of features."""
        return len(self.centers) if self.whitening is None else self.whitening.shape[1]

    def chunks(self, X: Any) -> Iterator[tuple[slice, Floats]]:
        """Yield the features of rows (n, d), a few megabytes at a time, with their slices."""
        for rows in row_chunks(X.shape[0], len(self.centers)):
            scaled = self.scaling.apply(X[rows]).astype(self.dtype, copy=False)
            found = self.kernel.matrix(scaled, self.centers)
            yield rows, found if self.whitening is None else found @ self.whitening

    def features(self, X: Any) -> Floats:
        """Return the features of rows, shape (n, r)."""
        parts = [found for _, found in self.chunks(X)]
        return np.concatenate(parts) if parts else np.empty((0, self.n_outputs))
