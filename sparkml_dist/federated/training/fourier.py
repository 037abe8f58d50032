"""Regression and classification on random Fourier features that all silos draw alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from sparkml_dist.federated.training.flat_model import FlatModel, Floats, Gradient
from sparkml_dist.federated.training.linear import Linear
from sparkml_dist.kernels.functions.families import kernel_from_dict
from sparkml_dist.kernels.functions.kernel import Kernel
from sparkml_dist.persistence.fields import mapping, natural, whole

__all__ = ["Fourier"]


class Fourier(FlatModel):
    """A linear model on random features of a kernel: a kernel machine without rows of anybody.

    The random directions follow from the seed, so they never travel.

    Parameters
    ----------
    width : int
        Number of features.
    n_outputs : int
        Number of classes; 0 for a regression.
    kernel : Kernel
    n_features : int, default=256
        Number of random features (even).
    seed : int, default=0
    penalty : float, default=0
        As for `Linear`.

    References
    ----------
    Rahimi, Recht (2007), "Random features for large-scale kernel machines".
    """

    kind: ClassVar[str] = "fourier"

    def __init__(
        self,
        width: int,
        n_outputs: int,
        kernel: Kernel,
        n_features: int = 256,
        seed: int = 0,
        penalty: float = 0.0,
    ) -> None:
        self.width, self.n_outputs, self.kernel = width, n_outputs, kernel
        self.n_features, self.seed, self.penalty = n_features, seed, penalty
        rng = np.random.Generator(np.random.PCG64(seed))
        number = n_features // kernel.features_per_frequency()
        self._frequencies = kernel.frequencies(width, number, rng)
        # Features of norm 1 learn at the rates of standardized ones when each is of order 1.
        self._factor = float(n_features) ** 0.5
        self._linear = Linear(n_features, n_outputs, penalty)
        self.size = self._linear.size

    def _features(self, X: Floats) -> Floats:
        found = self.kernel.random_features(np.asarray(X, np.float64), self._frequencies)
        return np.asarray(found * self._factor)

    def initial(self, rng: np.random.Generator) -> Floats:
        """Return the first parameters; see `FlatModel.initial`."""
        return self._linear.initial(rng)

    def gradient(self, parameters: Floats, buffers: Floats, X: Floats, y: Any) -> Gradient:
        """Return loss and gradient of a batch; see `FlatModel.gradient`."""
        return self._linear.gradient(parameters, buffers, self._features(X), y)

    def row_gradients(self, parameters: Floats, X: Floats, y: Any) -> Floats:
        """Return the gradient of each row's loss, shape (n, size)."""
        return self._linear.row_gradients(parameters, self._features(X), y)

    def predict(self, parameters: Floats, buffers: Floats, X: Floats) -> Floats:
        """Return probabilities or predictions; see `FlatModel.predict`."""
        return self._linear.predict(parameters, buffers, self._features(X))

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values of the model."""
        return {
            "kind": self.kind,
            "width": self.width,
            "n_outputs": self.n_outputs,
            "kernel": self.kernel.to_dict(),
            "n_features": self.n_features,
            "seed": self.seed,
            "penalty": self.penalty,
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Fourier:
        """Return the model of JSON values."""
        return cls(
            whole(value["width"], "width"),
            whole(value["n_outputs"], "n_outputs"),
            kernel_from_dict(mapping(value["kernel"], "kernel")),
            natural(value["n_features"], "n_features"),
            natural(value["seed"], "seed"),
            float(value["penalty"]),
        )
