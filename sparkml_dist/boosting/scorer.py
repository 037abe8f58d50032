"""Scores rows with a booster: loaded once per worker process."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from sparkml_dist.boosting.saved_booster import loaded_booster
from sparkml_dist.errors import StorageError
from sparkml_dist.persistence.filesystem import Folder

if TYPE_CHECKING:
    from sparkml_dist.onnx.graph import OnnxGraph

__all__ = ["BoosterScorer"]

_LEAST = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class BoosterScorer:
    """A booster in the form that is sent to workers.

    Attributes
    ----------
    folder : Folder
        Folder of the booster's file.
    file : str
        Name of the file.
    sha256 : str
        Checksum of the file, checked when it is loaded.
    n_features : int
    n_classes : int
        Number of classes; 0 for a regression.
    """

    folder: Folder
    file: str
    sha256: str
    n_features: int
    n_classes: int

    raw_scale: ClassVar[float] = 1.0  # not used; see `raw`

    @property
    def cache_key(self) -> str:
        """Identifies the model within a worker."""
        return f"xgboost/{self.sha256}"

    def booster(self) -> Any:
        """Return the booster, loaded into this process.

        Raises
        ------
        StorageError
            ``file_altered`` or ``booster_not_loaded``.
        """
        content = self.folder.read_bytes(self.file)
        where = self.folder.uri(self.file)
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise StorageError(
                "file_altered",
                f"The model's file {where!r} does not match its manifest: its SHA-256 checksum "
                "differs.",
                "It was truncated or altered; restore it, or fit the model again.",
            )
        booster = loaded_booster(content, where)
        groups = self.n_classes if self.n_classes > 2 else 1
        found = booster.num_features()
        if found != self.n_features or _outputs(booster, found) != groups:
            raise StorageError(
                "booster_not_loaded",
                f"The booster in {where!r} takes {found} features, where the model has "
                f"{self.n_features}, or predicts another number of classes.",
                "It belongs to another model: restore it, or fit the model again.",
            )
        return booster

    def load(self) -> Callable[[Any], npt.NDArray[np.float32]]:
        """Return a function from features (n, d), dense or CSR, to probabilities (n, n_classes).

        For a regression, to predictions (n,).

        Raises
        ------
        StorageError
            ``file_altered`` or ``booster_not_loaded``.
        """
        booster = self.booster()
        booster.set_param({"nthread": _cores()})
        width = (self.n_classes,) if self.n_classes else ()

        def predict(X: Any) -> npt.NDArray[np.float32]:
            if X.shape[0] == 0:
                return np.empty((0, *width), np.float32)
            found = booster.inplace_predict(X, missing=np.nan, validate_features=False)
            if self.n_classes == 2:
                return np.column_stack([1.0 - found, found]).astype(np.float32)
            return np.asarray(found, np.float32)

        return predict

    def raw(self, probability: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return log odds for two classes, and logarithms of the probabilities for more."""
        logs = np.log(np.maximum(probability.astype(np.float64), _LEAST))
        if self.n_classes != 2:
            return logs
        odds = logs[:, 1] - logs[:, 0]
        return np.column_stack([-odds, odds])

    def onnx_combine(self, graph: OnnxGraph, prefix: str = "") -> str:
        """Add the booster to a graph; return the name of its predictions."""
        from sparkml_dist.boosting.onnx import add_booster

        return add_booster(graph, self.booster(), self.n_classes)

    def probe_rows(self, n_features: int, rows: int) -> npt.NDArray[np.float32]:
        """Return random rows around the thresholds, some values missing, to compare with ONNX."""
        from sparkml_dist.boosting.onnx import probe_rows

        return probe_rows(self.booster(), n_features, rows)


def _outputs(booster: Any, features: int) -> int:
    row = np.zeros((1, features), np.float32)
    return int(np.size(booster.inplace_predict(row, validate_features=False)))


def _cores() -> int:
    """Return the cores that this task owns; 1 outside of a task."""
    from pyspark import TaskContext

    context = TaskContext.get()
    return 1 if context is None else max(1, int(context.cpus()))
