"""Linear regression and logistic regression, binary or multinomial, as vectors of parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from sparkml_dist.federated.training.flat_model import FlatModel, Floats, Gradient, softmax
from sparkml_dist.persistence.fields import whole

__all__ = ["Linear"]


class Linear(FlatModel):
    """Scores that are linear in the features: least squares, logistic or softmax regression.

    The parameters are a matrix (d, k) in rows, and a row of k intercepts; k is 1 for a regression
    and for two classes.

    Parameters
    ----------
    width : int
        Number of features d.
    n_outputs : int
        Number of classes; 0 for a regression.
    penalty : float, default=0
        Factor on half of the squared coefficients, without the intercepts, beside the mean loss.
    intercept : bool, default=True
        Whether there are intercepts.
    """

    kind: ClassVar[str] = "linear"

    def __init__(
        self, width: int, n_outputs: int, penalty: float = 0.0, *, intercept: bool = True
    ) -> None:
        self.width, self.n_outputs, self.penalty = width, n_outputs, penalty
        self.intercept = intercept
        self._columns = n_outputs if n_outputs > 2 else 1
        self.size = (width + intercept) * self._columns

    def initial(self, rng: np.random.Generator) -> Floats:
        """Return the first parameters; see `FlatModel.initial`."""
        return np.zeros(self.size)

    def _matrix(self, parameters: Floats) -> Floats:
        return parameters.reshape(self.width + self.intercept, self._columns)

    def scores(self, parameters: Floats, X: Floats) -> Floats:
        """Return the scores of rows, shape (n, k)."""
        matrix = self._matrix(parameters)
        found = X @ matrix[: self.width]
        return found + matrix[-1] if self.intercept else found

    def _errors(self, scores: Floats, y: Any) -> tuple[Floats, Floats]:
        """Return each row's loss (n,), and its derivative by the scores (n, k)."""
        if not self.n_outputs:
            away = scores - np.asarray(y, np.float64)[:, None]
            return 0.5 * away[:, 0] ** 2, away
        if self._columns == 1:
            one = np.asarray(y, np.float64)[:, None]
            losses = np.logaddexp(0.0, scores) - one * scores
            return losses[:, 0], _sigmoid(scores) - one
        probability, rows = softmax(scores), np.arange(len(y))
        losses = np.log(np.exp(scores - scores.max(axis=1, keepdims=True)).sum(axis=1))
        losses = losses + scores.max(axis=1) - scores[rows, y]
        probability[rows, y] -= 1.0
        return losses, probability

    def gradient(self, parameters: Floats, buffers: Floats, X: Floats, y: Any) -> Gradient:
        """Return loss and gradient of a batch; see `FlatModel.gradient`."""
        losses, errors = self._errors(self.scores(parameters, X), y)
        n = max(1, len(y))
        found = X.T @ errors
        if self.intercept:
            found = np.concatenate([found, errors.sum(axis=0)[None]])
        found = found / n
        loss = float(losses.sum() / n)
        if self.penalty:
            coefficients = self._matrix(parameters)[: self.width]
            found[: self.width] += self.penalty * coefficients
            loss += 0.5 * self.penalty * float((coefficients**2).sum())
        return Gradient(loss, found.reshape(-1))

    def row_gradients(self, parameters: Floats, X: Floats, y: Any) -> Floats:
        """Return the gradient of each row's loss, shape (n, size)."""
        _, errors = self._errors(self.scores(parameters, X), y)
        full = np.concatenate([X, np.ones((len(X), int(self.intercept)))], axis=1)
        found = np.einsum("ni,nk->nik", full, errors)
        if self.penalty:
            found[:, : self.width] += self.penalty * self._matrix(parameters)[: self.width]
        return found.reshape(len(X), self.size)

    def predict(self, parameters: Floats, buffers: Floats, X: Floats) -> Floats:
        """Return probabilities or predictions; see `FlatModel.predict`."""
        scores = self.scores(parameters, X)
        if not self.n_outputs:
            return scores[:, 0]
        if self._columns == 1:
            one = _sigmoid(scores)
            return np.hstack([1.0 - one, one])
        return softmax(scores)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values of the model."""
        return {
            "kind": self.kind,
            "width": self.width,
            "n_outputs": self.n_outputs,
            "penalty": self.penalty,
            "intercept": self.intercept,
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Linear:
        """Return the model of JSON values."""
        return cls(
            whole(value["width"], "width"),
            whole(value["n_outputs"], "n_outputs"),
            float(value["penalty"]),
            intercept=bool(value["intercept"]),
        )


def _sigmoid(scores: Floats) -> Floats:
    return 0.5 * (1.0 + np.tanh(0.5 * scores))
