"""What a strategy sees inside a silo: its model, its rows and what it keeps between rounds."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sparkml_dist.federated.message import Message
from sparkml_dist.federated.privacy.noise import NoiseSource
from sparkml_dist.federated.privacy.record_privacy import RecordPrivacy
from sparkml_dist.federated.silo_state import SiloState
from sparkml_dist.federated.training.flat_model import FlatModel, Floats
from sparkml_dist.federated.training.local_rows import LocalRows
from sparkml_dist.federated.training.local_training import (
    Correction,
    LocalResult,
    LocalSettings,
    train_locally,
)
from sparkml_dist.federated.training.private_training import train_privately

__all__ = ["LocalRound"]

_STATE = "strategy"


class LocalRound:
    """One round of a strategy in one silo.

    Attributes
    ----------
    model : FlatModel
    rows : LocalRows
    settings : LocalSettings
    parameters : ndarray
        The model that the coordinator sent.
    buffers : ndarray
        The buffers that it sent; afterwards those of the first training.
    arrays : mapping of str to ndarray
        All arrays of the request.
    privacy : RecordPrivacy or None
        With which rows are hidden.
    noise : NoiseSource or None
        Draws samples and noise, from the silo's secret.
    weight : float
        The silo's weight over the mean weight of all silos.
    steps : int
        Steps of the first training.
    loss : float
        Its mean loss.
    """

    def __init__(
        self,
        model: FlatModel,
        rows: LocalRows,
        settings: LocalSettings,
        request: Message,
        state: SiloState,
        rng: np.random.Generator,
        weight: float = 1.0,
        privacy: RecordPrivacy | None = None,
        noise: NoiseSource | None = None,
    ) -> None:
        self.model, self.rows, self.settings, self.weight = model, rows, settings, weight
        self.arrays = request.arrays
        self.parameters: Floats = np.asarray(request.arrays["parameters"], np.float64)
        self.buffers: Floats = np.asarray(request.arrays.get("buffers", np.zeros(0)), np.float64)
        self.steps, self.loss = 0, float("nan")
        self._round, self._state, self._rng = request.round, state, rng
        self._trained = False
        self.privacy = privacy
        self.noise = noise

    def train(
        self, start: Floats | None = None, correction: Correction | None = None
    ) -> LocalResult:
        """Train from given parameters, by default the coordinator's."""
        begin = self.parameters if start is None else start
        if self.privacy is not None and self.noise is not None:
            found = train_privately(
                self.model, begin, self.rows, self.settings, self.privacy, self.noise, correction
            )
        else:
            found = train_locally(
                self.model, begin, self.buffers, self.rows, self.settings, self._rng, correction
            )
        if not self._trained:
            self._trained = True
            self.buffers, self.steps, self.loss = found.buffers, found.steps, found.loss
        return found

    def loss_of(self, parameters: Floats) -> float:
        """Return the mean loss of all training rows."""
        total, loss = 0, 0.0
        for X, y in self.rows.pieces():
            loss += len(y) * self.model.gradient(parameters, self.buffers, X, y).loss
            total += len(y)
        return loss / max(1, total)

    def kept(self) -> Mapping[str, Floats]:
        """Return what the strategy kept in this silo in an earlier round."""
        return self._state.read(_STATE, before=self._round) or {}

    def keep(self, **arrays: Floats) -> None:
        """Keep arrays for later rounds; they stay in the silo."""
        self._state.write(_STATE, self._round, arrays)
