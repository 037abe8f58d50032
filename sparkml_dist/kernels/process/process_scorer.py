"""Base of the scorers of Gaussian processes: what is sent to workers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from sparkml_dist.kernels.functions.kernel import Kernel
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.model_folder import ModelFile

__all__ = ["Distribution", "ProcessScorer"]

Matrix = npt.NDArray[np.float64]
#: From features (n, d) to means and variances of new observations, both of shape (n,).
Distribution = Callable[[Any], tuple[Matrix, Matrix]]


@dataclass(frozen=True)
class ProcessScorer:
    """A Gaussian process in the form that is sent to workers.

    Attributes
    ----------
    folder : Folder
        Folder of the arrays' files.
    files : tuple of ModelFile
    kernel : Kernel
    counts : tuple of int
        Number of categories of each feature, 0 for numbers.
    signal, noise : float
        Variances.
    """

    folder: Folder
    files: tuple[ModelFile, ...]
    kernel: Kernel
    counts: tuple[int, ...]
    signal: float
    noise: float

    raw_scale: ClassVar[float] = 1.0  # not used

    @property
    def cache_key(self) -> str:
        """Identifies the model within a worker."""
        joined = "/".join(file.sha256 for file in self.files)
        return f"process/{self.kernel!r}/{self.signal}/{self.noise}/{joined}"

    @abstractmethod
    def distribution(self) -> Distribution:
        """Return the predictive distribution; raises as `checked_arrays`."""

    def load(self) -> Callable[[Any], Matrix]:
        """Return a function from features (n, d) to means (n,)."""
        distribution = self.distribution()

        def predict(X: Any) -> Matrix:
            return distribution(X)[0]

        return predict
