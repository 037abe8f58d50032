"""The local loop with differential privacy of records (DP-SGD)."""

from __future__ import annotations

import numpy as np

from sparkml_dist.federated.privacy.noise import NoiseSource
from sparkml_dist.federated.privacy.record_privacy import RecordPrivacy
from sparkml_dist.federated.training.flat_model import FlatModel, Floats
from sparkml_dist.federated.training.local_rows import LocalRows
from sparkml_dist.federated.training.local_training import Correction, LocalResult, LocalSettings

__all__ = ["private_steps", "train_privately"]


def private_steps(settings: LocalSettings, privacy: RecordPrivacy) -> int:
    """Return the steps of a round, the same in all silos, so that all spend the same."""
    return settings.steps or privacy.steps_of(settings.epochs)


def train_privately(
    model: FlatModel,
    parameters: Floats,
    rows: LocalRows,
    settings: LocalSettings,
    privacy: RecordPrivacy,
    noise: NoiseSource,
    correction: Correction | None = None,
) -> LocalResult:
    """Train a model so that no row can be found in the result; see `RecordPrivacy`.

    Parameters
    ----------
    model : FlatModel
        Without buffers.
    parameters : ndarray
    rows : LocalRows
    settings : LocalSettings
        Its number of rows in a batch is not used: batches are Poisson samples.
    privacy : RecordPrivacy
    noise : NoiseSource
        Draws batches and noise.
    correction : callable, optional

    Returns
    -------
    LocalResult
        Whose loss is 0: it would tell of the rows without noise.
    """
    at: Floats = np.array(parameters, np.float64)
    speed: Floats = np.zeros_like(at)
    n, steps = rows.n_rows, private_steps(settings, privacy)
    factor = length = 0.0
    for taken in privacy.batches(n, steps, noise):
        vector: Floats = privacy.noised(_clipped_sum(model, at, rows, taken, privacy), n, noise)
        if correction is not None:
            vector = vector + correction(at)
        speed = settings.momentum * speed + vector
        at = at - settings.rate * speed
        factor = settings.momentum * factor + 1.0
        length += factor
    return LocalResult(at, np.zeros(0), steps, length, 0.0)


def _clipped_sum(
    model: FlatModel, at: Floats, rows: LocalRows, taken: Floats, privacy: RecordPrivacy
) -> Floats:
    """Return the sum of the clipped gradients of some rows, by their positions."""
    total: Floats = np.zeros(model.size)
    start = 0
    for X, y in rows.pieces():
        own = taken[(taken >= start) & (taken < start + len(y))] - start
        start += len(y)
        total = total + privacy.gradient_of(
            own,
            model.size,
            lambda part, X=X, y=y: model.row_gradients(at, X[part], y[part]),  # type: ignore[misc]
        )
    return total
