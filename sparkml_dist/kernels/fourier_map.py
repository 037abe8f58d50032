"""Random features of rows, a few megabytes at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.kernels.functions.kernel import Floats, Kernel
from sparkml_dist.kernels.nystroem_map import row_chunks
from sparkml_dist.kernels.scaling import Scaling

__all__ = ["FourierMap", "check_outputs_of"]


def check_outputs_of(name: str, number: int, kernel: str) -> None:
    """Raise unless a number of random features is one that a kernel has.

    Raises
    ------
    ConfigurationError
        ``invalid_param``.
    """
    if number < 1 or (number % 2 and kernel != "arccos"):
        raise ConfigurationError(
            "invalid_param",
            f"{name} must be even: random features are pairs of cosine and sine. Got {number}.",
            f"Set it to {max(2, number + 1)}.",
        )


@dataclass(frozen=True)
class FourierMap:
    """Maps rows to random features; see `Kernel.random_features`.

    Attributes
    ----------
    kernel : Kernel
    scaling : Scaling
    frequencies : ndarray, shape (d, p)
    dtype : str
        ``"float64"`` or ``"float32"``: in which features are computed.
    """

    kernel: Kernel
    scaling: Scaling
    frequencies: npt.NDArray[Any]
    dtype: str = "float64"

    @classmethod
    def drawn(cls, kernel: Kernel, scaling: Scaling, outputs: int, seed: int) -> FourierMap:
        """Return a map of random frequencies, which depend on the seed alone.

        Parameters
        ----------
        kernel : Kernel
        scaling : Scaling
        outputs : int
            Number of random features.
        seed : int
        """
        rng = np.random.Generator(np.random.PCG64(seed))
        number = outputs // kernel.features_per_frequency()
        return cls(kernel, scaling, kernel.frequencies(scaling.width, number, rng))

    @property
    def n_outputs(self) -> int:
        """Number of random features."""
        return int(self.frequencies.shape[1]) * self.kernel.features_per_frequency()

    def chunks(self, X: Any) -> Iterator[tuple[slice, Floats]]:
        """Yield the features of rows (n, d), a few megabytes at a time, with their slices."""
        frequencies = self.frequencies.astype(self.dtype, copy=False)
        for rows in row_chunks(X.shape[0], self.n_outputs):
            scaled = self.scaling.apply(X[rows]).astype(self.dtype, copy=False)
            yield rows, self.kernel.random_features(scaled, frequencies)

    def features(self, X: Any) -> Floats:
        """Return the features of rows, shape (n, p)."""
        parts = [found for _, found in self.chunks(X)]
        return np.concatenate(parts) if parts else np.empty((0, self.n_outputs))
