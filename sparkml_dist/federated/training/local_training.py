"""The local loop: stochastic gradient descent on a silo's rows, with a strategy's correction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import count
from typing import Any

import numpy as np

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.federated.training.flat_model import FlatModel, Floats, Gradient
from sparkml_dist.federated.training.local_rows import LocalRows, Piece

__all__ = ["Correction", "LocalResult", "LocalSettings", "train_locally"]

#: From the current parameters to a vector that is added to the gradient.
Correction = Callable[[Floats], Floats]


@dataclass(frozen=True)
class LocalSettings:
    """How a silo trains in a round.

    Attributes
    ----------
    epochs : int
        Passes over the rows, if `steps` is 0.
    steps : int
        Number of steps; 0 for whole epochs.
    batch_size : int
        Rows of a step; 0 for all rows.
    rate : float
        Learning rate.
    momentum : float
        Share of the last step that is repeated (>= 0, < 1).
    """

    epochs: int = 1
    steps: int = 0
    batch_size: int = 32
    rate: float = 0.1
    momentum: float = 0.0

    def check(self) -> None:
        """Raise for settings without meaning.

        Raises
        ------
        ConfigurationError
            ``invalid_param``.
        """
        for name, value, least in (
            ("localEpochs", self.epochs, 1),
            ("localSteps", self.steps, 0),
            ("batchSize", self.batch_size, 0),
        ):
            if value < least:
                raise ConfigurationError(
                    "invalid_param", f"{name} must be >= {least}. Got {value}."
                )
        if not (self.rate > 0 and np.isfinite(self.rate)):
            raise ConfigurationError(
                "invalid_param", f"learningRate must be a number > 0. Got {self.rate!r}."
            )
        if not 0 <= self.momentum < 1:
            raise ConfigurationError(
                "invalid_param", f"momentum must be >= 0 and < 1. Got {self.momentum!r}."
            )

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> LocalSettings:
        """Return the settings of JSON values."""
        found = cls(
            int(value["epochs"]),
            int(value["steps"]),
            int(value["batch_size"]),
            float(value["rate"]),
            float(value["momentum"]),
        )
        found.check()
        return found


@dataclass(frozen=True)
class LocalResult:
    """What a silo's training of one round gives.

    Attributes
    ----------
    parameters, buffers : ndarray
    steps : int
        Number of steps.
    length : float
        Sum of the factors with which gradients entered, in units of the learning rate: the number
        of steps without momentum; the norm of `a` in FedNova's paper.
    loss : float
        Mean loss of the steps' batches.
    """

    parameters: Floats
    buffers: Floats
    steps: int
    length: float
    loss: float


def train_locally(
    model: FlatModel,
    parameters: Floats,
    buffers: Floats,
    rows: LocalRows,
    settings: LocalSettings,
    rng: np.random.Generator,
    correction: Correction | None = None,
) -> LocalResult:
    """Train a model on the rows of a silo.

    Parameters
    ----------
    model : FlatModel
    parameters, buffers : ndarray
        Where training begins.
    rows : LocalRows
    settings : LocalSettings
    rng : Generator
        Draws the batches.
    correction : callable, optional
        Returns what a strategy adds to the gradient.
    """
    at = np.array(parameters, np.float64)
    held: Floats = np.array(buffers, np.float64)
    speed = np.zeros_like(at)
    steps, losses = 0, 0.0
    factor = length = 0.0
    for batch in _steps(rows, settings, rng):
        found = _gradient(model, at, held, batch)
        vector = found.vector if correction is None else found.vector + correction(at)
        speed = settings.momentum * speed + vector
        at -= settings.rate * speed
        if found.buffers is not None:
            held = found.buffers
        steps, losses = steps + 1, losses + found.loss
        factor = settings.momentum * factor + 1.0
        length += factor
    return LocalResult(at, held, steps, length, losses / max(1, steps))


def _steps(
    rows: LocalRows, settings: LocalSettings, rng: np.random.Generator
) -> Iterator[Iterator[Piece]]:
    done = 0
    for epoch in count():
        if epoch >= settings.epochs and not settings.steps:
            return
        before = done
        for batch in rows.batches(rng, settings.batch_size):
            if settings.steps and done >= settings.steps:
                return
            yield batch
            done += 1
        if done == before:  # no rows
            return


def _gradient(
    model: FlatModel, parameters: Floats, buffers: Floats, pieces: Iterator[Piece]
) -> Gradient:
    """Return the gradient of a batch that comes in pieces."""
    total, loss = 0, 0.0
    vector: Floats = np.zeros(model.size)
    held: Floats | None = None
    for X, y in pieces:
        found = model.gradient(parameters, buffers, X, y)
        total, n = total + len(y), len(y)
        loss += n * found.loss
        vector = vector + n * np.asarray(found.vector, np.float64)
        held = found.buffers if found.buffers is not None else held
    return Gradient(loss / max(1, total), vector / max(1, total), held)
