"""Losses on held-out rows, of several machines in one pass."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.kernels.ridge.feature_map import FeatureMap
from sparkml_dist.kernels.ridge.targets import Targets

__all__ = ["held_loss_of_block", "log_losses"]


def log_losses(
    margins: npt.NDArray[np.float64], y: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the log loss of each row, and the class probabilities.

    Parameters
    ----------
    margins : ndarray of float64, shape (n, k)
    y : ndarray of float64, shape (n, k)
        1 for the class of a row.
    """
    greatest = margins.max(axis=1, keepdims=True)
    powers = np.exp(margins - greatest)
    total = powers.sum(axis=1, keepdims=True)
    losses = np.log(total[:, 0]) + greatest[:, 0] - np.einsum("ik,ik->i", margins, y)
    return losses, powers / total


def held_loss_of_block(
    block: Any,
    similarities: FeatureMap,
    targets: Targets,
    coefficients: npt.NDArray[np.float64],
    intercepts: npt.NDArray[np.float64],
    loss: str,
) -> dict[str, Any]:
    """Return the losses of several machines on the held-out rows of a block.

    Parameters
    ----------
    block : Block
    similarities : FeatureMap
    targets : Targets
    coefficients : ndarray of float64, shape (a, m, k)
        Of `a` machines.
    intercepts : ndarray of float64, shape (a, k)
    loss : {"squared", "logistic"}
    """
    machines, _, k = coefficients.shape
    found: dict[str, Any] = {"loss": np.zeros(machines), "weight": 0.0}
    y, (_, weight) = targets.of(block), targets.weights(block)
    stacked = coefficients.transpose(1, 0, 2).reshape(-1, machines * k)
    for rows, alike in similarities.chunks(block.X):
        held = weight[rows] > 0
        margins = (alike[held] @ stacked.astype(alike.dtype)).reshape(-1, machines, k) + intercepts
        wanted, w = y[rows][held], weight[rows][held]
        for i in range(machines):
            if loss == "squared":
                losses = ((margins[:, i] - wanted) ** 2).sum(axis=1)
            else:
                losses = log_losses(margins[:, i], wanted)[0]
            found["loss"][i] += float(w @ losses)
        found["weight"] += float(w.sum())
    return found
