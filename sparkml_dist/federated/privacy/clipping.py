"""Clip vectors to a norm."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sparkml_dist.errors import ConfigurationError


def clip_rows(rows: np.ndarray, clip_norm: float) -> np.ndarray:
    """Return the sum over rows, shape (p,), of a matrix (n, p) each clipped to a norm.

    A row that is not finite counts as zeros, so that no row, whatever it holds, moves the sum by
    more than the norm.
    """
    rows = np.asarray(rows, np.float64)
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    finite = np.isfinite(norms)
    factors = np.where(finite, np.minimum(1.0, clip_norm / np.maximum(norms, clip_norm)), 0.0)
    return np.asarray(factors[finite] @ rows[finite])


def clip_update(
    update: Mapping[str, np.ndarray], clip_norm: float
) -> tuple[dict[str, np.ndarray], bool]:
    """Return arrays that are clipped to a joint norm, and whether they were within it.

    What is not finite becomes zeros, and is not within it.
    """
    arrays = {name: np.asarray(value, np.float64) for name, value in update.items()}
    norm = float(np.sqrt(sum(float(np.vdot(a, a)) for a in arrays.values())))
    if not np.isfinite(norm):
        return {name: np.zeros_like(array) for name, array in arrays.items()}, False
    factor = clip_norm / max(norm, clip_norm)
    return {name: factor * array for name, array in arrays.items()}, norm <= clip_norm


def check_noise(clip_norm: float, noise_multiplier: float, sampling_rate: float) -> None:
    """Raise ConfigurationError ``invalid_param`` for settings without meaning."""
    for name, value, most in (
        ("clipNorm", clip_norm, np.inf),
        ("noiseMultiplier", noise_multiplier, np.inf),
        ("samplingRate", sampling_rate, 1.0),
    ):
        if not (0 < value <= most and np.isfinite(value)):
            above = "" if most == np.inf else f" and at most {most:g}"
            raise ConfigurationError(
                "invalid_param", f"{name} must be a number above 0{above}. Got {value!r}."
            )
