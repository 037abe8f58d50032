"""A model whose parameters are one vector, which can be added and compared."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

__all__ = ["FlatModel", "Floats", "Gradient", "softmax"]

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Gradient:
    """The loss of a batch and its gradient.

    Attributes
    ----------
    loss : float
        Mean loss of the rows.
    vector : ndarray, shape (size,)
        Gradient of the mean loss.
    buffers : ndarray, shape (buffer_size,), or None
        What the forward pass made of the buffers; None where there are none.
    """

    loss: float
    vector: Floats
    buffers: Floats | None = None


class FlatModel(ABC):
    """Computes losses and gradients of batches as functions of one vector of parameters.

    Attributes
    ----------
    kind : str
        Name in the allow-list of models.
    size : int
        Number of parameters.
    buffer_size : int
        Number of values that are averaged but not learnt, such as the moving statistics of
        batch normalization.
    n_outputs : int
        Number of classes; 0 for a regression.
    """

    kind: ClassVar[str]
    size: int
    buffer_size: int = 0
    n_outputs: int
    #: Type of the vectors.
    dtype: ClassVar[str] = "float64"
    #: Whether features come standardized; otherwise missing values are filled in only.
    standardized: ClassVar[bool] = True

    @abstractmethod
    def initial(self, rng: np.random.Generator) -> Floats:
        """Return the parameters that training begins with, shape (size,)."""

    def initial_buffers(self) -> Floats:
        """Return the buffers that training begins with, shape (buffer_size,)."""
        return np.zeros(0)

    @abstractmethod
    def gradient(self, parameters: Floats, buffers: Floats, X: Floats, y: Any) -> Gradient:
        """Return the mean loss of a batch and its gradient.

        Parameters
        ----------
        parameters : ndarray, shape (size,)
        buffers : ndarray, shape (buffer_size,)
        X : ndarray, shape (n, d)
            Features as the model takes them.
        y : ndarray, shape (n,)
            Class codes or targets.
        """

    def row_gradients(self, parameters: Floats, X: Floats, y: Any) -> Floats:
        """Return the gradient of each row's loss, shape (n, size).

        Differential privacy at the level of records clips each of them.
        """
        none = np.zeros(self.buffer_size)
        rows = [
            self.gradient(parameters, none, X[i : i + 1], y[i : i + 1]).vector
            for i in range(len(y))
        ]
        return np.stack(rows) if rows else np.zeros((0, self.size))

    @abstractmethod
    def predict(self, parameters: Floats, buffers: Floats, X: Floats) -> Floats:
        """Return probabilities (n, n_outputs), or of a regression predictions (n,)."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Return JSON values that `model_of` makes the same model of."""

    @classmethod
    @abstractmethod
    def from_dict(cls, value: Mapping[str, Any]) -> FlatModel:
        """Return the model of JSON values."""


def softmax(scores: Floats) -> Floats:
    """Return probabilities (n, k) of scores (n, k)."""
    found = np.exp(scores - scores.max(axis=1, keepdims=True))
    return found / found.sum(axis=1, keepdims=True)
