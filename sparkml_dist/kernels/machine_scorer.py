"""Scores rows with a machine on centres: its arrays are read once per worker process."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import StorageError
from sparkml_dist.kernels.feature_model import scaling_of
from sparkml_dist.kernels.fourier_map import FourierMap
from sparkml_dist.kernels.functions.kernel import Kernel
from sparkml_dist.kernels.nystroem_map import NystroemMap
from sparkml_dist.kernels.ridge.held_out import log_losses
from sparkml_dist.persistence.arrays import check_array
from sparkml_dist.persistence.declared_sizes import check_npy
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.model_folder import ModelFile

__all__ = ["MachineScorer", "checked_arrays"]

_LEAST = float(np.finfo(np.float32).tiny)


def checked_arrays(folder: Folder, files: Sequence[ModelFile]) -> dict[str, Any]:
    """Return the arrays in a model's files, by their names without the suffix.

    Raises
    ------
    StorageError
        ``file_altered`` or ``array_damaged``.
    """
    found: dict[str, Any] = {}
    for file in files:
        content = folder.read_bytes(file.name)
        if hashlib.sha256(content).hexdigest() != file.sha256:
            raise StorageError(
                "file_altered",
                f"The model's file {folder.uri(file.name)!r} does not match its manifest: its "
                "SHA-256 checksum differs.",
                "It was truncated or altered; restore it, or fit the model again.",
            )
        try:
            check_npy(content, len(content))
            array = np.load(io.BytesIO(content), allow_pickle=False)
        except (ValueError, TypeError, OSError, EOFError) as error:
            raise StorageError(
                "array_damaged",
                f"{folder.uri(file.name)!r} is not an array: {error}.",
                "It was altered; restore it, or fit the model again.",
            ) from error
        found[file.name.removesuffix(".npy")] = array
    return found


@dataclass(frozen=True)
class MachineScorer:
    """A machine on centres in the form that is sent to workers.

    Attributes
    ----------
    folder : Folder
        Folder of the arrays' files.
    files : tuple of ModelFile
    kernel : Kernel
    dtype : {"float64", "float32"}
        In which similarities are computed.
    counts : tuple of int
        Number of categories of each feature, 0 for numbers.
    n_classes : int
        Number of classes; 0 for a regression.
    link : {"squared", "logistic"}
        The loss, which decides how scores become probabilities.
    """

    folder: Folder
    files: tuple[ModelFile, ...]
    kernel: Kernel
    dtype: str
    counts: tuple[int, ...]
    n_classes: int
    link: str

    raw_scale: ClassVar[float] = 1.0

    @property
    def cache_key(self) -> str:
        """Identifies the model within a worker."""
        joined = "/".join(file.sha256 for file in self.files)
        return f"kernel/{self.kernel!r}/{self.dtype}/{self.link}/{joined}"

    def scores(self) -> Callable[[Any], npt.NDArray[np.float64]]:
        """Return a function from features (n, d) to scores (n, k).

        Raises
        ------
        StorageError
            ``file_altered`` or ``array_damaged``.
        """
        arrays = checked_arrays(self.folder, self.files)
        scaling = scaling_of(arrays, self.counts)
        space: NystroemMap | FourierMap
        if "frequencies" in arrays:
            check_array(arrays, "frequencies", (scaling.width, None))
            space = FourierMap(self.kernel, scaling, arrays["frequencies"], self.dtype)
        else:
            check_array(arrays, "centers", (None, scaling.width))
            centers = arrays["centers"].astype(self.dtype)
            space = NystroemMap(self.kernel, scaling, centers, None, self.dtype)
        outputs = self.n_classes or 1
        check_array(arrays, "coefficients", (space.n_outputs, outputs))
        check_array(arrays, "intercept", (outputs,))
        coefficients = arrays["coefficients"].astype(self.dtype)
        intercept = arrays["intercept"]

        def score(X: Any) -> npt.NDArray[np.float64]:
            found = np.empty((X.shape[0], len(intercept)))
            for rows, alike in space.chunks(X):
                found[rows] = alike @ coefficients
            return found + intercept

        return score

    def load(self) -> Callable[[Any], npt.NDArray[Any]]:
        """Return a function from features (n, d) to probabilities (n, n_classes).

        For a regression, to predictions (n,).
        """
        score = self.scores()

        def predict(X: Any) -> npt.NDArray[Any]:
            found = score(X)
            if not self.n_classes:
                return found[:, 0]
            if self.link == "logistic":
                return log_losses(found, np.zeros_like(found))[1]
            shares = np.maximum(found, 0.0)
            # The order of classes is that of the scores, also where all of them are negative.
            lost = shares.sum(axis=1) <= 0
            shares[lost] = (
                found[lost] - found[lost].min(axis=1, keepdims=True, initial=0.0) + _LEAST
            )
            return np.asarray(shares / shares.sum(axis=1, keepdims=True))

        return predict

    def raw(self, probability: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return logarithms of the probabilities."""
        return np.log(np.maximum(probability.astype(np.float64), _LEAST))
