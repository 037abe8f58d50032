"""A small network of dense layers in numpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from sparkml_dist.federated.training.flat_model import FlatModel, Floats, Gradient, softmax
from sparkml_dist.persistence.fields import whole

__all__ = ["Perceptron"]


class Perceptron(FlatModel):
    """Dense layers with tanh between them; softmax for classes, squared loss for numbers.

    The parameters are the layers' matrices (inputs + 1, outputs) in rows, one after the other, the
    last row of each being its offsets. A regression's loss is half of the squared error.

    Parameters
    ----------
    width : int
        Number of features.
    n_outputs : int
        Number of classes; 0 for a regression.
    hidden : sequence of int
        Units of the hidden layers.
    """

    kind: ClassVar[str] = "perceptron"

    def __init__(self, width: int, n_outputs: int, hidden: Sequence[int] = (64,)) -> None:
        self.width, self.n_outputs, self.hidden = width, n_outputs, tuple(hidden)
        sizes = (width, *self.hidden, max(1, n_outputs))
        self._shapes = [(a + 1, b) for a, b in pairwise(sizes)]
        self.size = sum(a * b for a, b in self._shapes)

    def initial(self, rng: np.random.Generator) -> Floats:
        """Return the first parameters; see `FlatModel.initial`."""
        layers = []
        for inputs, outputs in self._shapes:
            layer = rng.normal(0.0, (1.0 / max(1, inputs - 1)) ** 0.5, (inputs, outputs))
            layer[-1] = 0.0
            layers.append(layer.reshape(-1))
        return np.concatenate(layers)

    def _layers(self, parameters: Floats) -> list[Floats]:
        found, start = [], 0
        for shape in self._shapes:
            stop = start + shape[0] * shape[1]
            found.append(parameters[start:stop].reshape(shape))
            start = stop
        return found

    def _forward(self, layers: Sequence[Floats], X: Floats) -> list[Floats]:
        """Return the input of each layer, and the scores."""
        values: list[Floats] = [np.asarray(X, np.float64)]
        for i, layer in enumerate(layers):
            scores = values[-1] @ layer[:-1] + layer[-1]
            values.append(np.tanh(scores) if i + 1 < len(layers) else scores)
        return values

    def _errors(self, scores: Floats, y: Any) -> tuple[Floats, Floats]:
        """Return each row's loss (n,), and its derivative by the scores (n, k)."""
        if not self.n_outputs:
            away = scores - np.asarray(y, np.float64)[:, None]
            return 0.5 * away[:, 0] ** 2, away
        probability, rows = softmax(scores), np.arange(len(y))
        losses = -np.log(np.maximum(probability[rows, y], np.finfo(np.float64).tiny))
        probability[rows, y] -= 1.0
        return losses, probability

    def gradient(self, parameters: Floats, buffers: Floats, X: Floats, y: Any) -> Gradient:
        """Return loss and gradient of a batch; see `FlatModel.gradient`."""
        layers = self._layers(parameters)
        values = self._forward(layers, X)
        n = max(1, len(y))
        losses, error = self._errors(values[-1], y)
        error = error / n
        found: list[Floats] = []
        for i in range(len(layers) - 1, -1, -1):
            found.append(np.concatenate([values[i].T @ error, error.sum(axis=0)[None]]).reshape(-1))
            if i:
                error = (error @ layers[i][:-1].T) * (1.0 - values[i] ** 2)
        return Gradient(float(losses.sum() / n), np.concatenate(found[::-1]))

    def row_gradients(self, parameters: Floats, X: Floats, y: Any) -> Floats:
        """Return the gradient of each row's loss, shape (n, size)."""
        layers = self._layers(parameters)
        values = self._forward(layers, X)
        _, error = self._errors(values[-1], y)
        found: list[Floats] = []
        for i in range(len(layers) - 1, -1, -1):
            full = np.concatenate([values[i], np.ones((len(X), 1))], axis=1)
            found.append(np.einsum("ni,nk->nik", full, error).reshape(len(X), -1))
            if i:
                error = (error @ layers[i][:-1].T) * (1.0 - values[i] ** 2)
        return np.concatenate(found[::-1], axis=1)

    def predict(self, parameters: Floats, buffers: Floats, X: Floats) -> Floats:
        """Return probabilities or predictions; see `FlatModel.predict`."""
        scores = self._forward(self._layers(parameters), X)[-1]
        return softmax(scores) if self.n_outputs else scores[:, 0]

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values of the model."""
        return {
            "kind": self.kind,
            "width": self.width,
            "n_outputs": self.n_outputs,
            "hidden": list(self.hidden),
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Perceptron:
        """Return the model of JSON values."""
        return cls(
            whole(value["width"], "width"),
            whole(value["n_outputs"], "n_outputs"),
            [whole(units, "hidden") for units in value["hidden"]],
        )
