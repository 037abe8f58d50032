"""Differential privacy of records: gradients of single rows, clipped and noised, inside a silo."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from math import ceil
from typing import Any

import numpy as np

from sparkml_dist.federated.privacy.clipping import check_noise, clip_rows
from sparkml_dist.federated.privacy.event import PrivacyEvent
from sparkml_dist.federated.privacy.noise import NoiseSource

_AT_ONCE = 64 << 20


@dataclass(frozen=True)
class RecordPrivacy:
    """Stochastic gradient descent whose steps hide each row (DP-SGD).

    A step takes each row with probability `sampling_rate`, independently of the others, clips each
    row's gradient to the norm `clip_norm`, adds them up, adds Gaussian noise of standard deviation
    ``noise_multiplier * clip_norm`` to each coordinate, and divides by the number of rows that it
    expects, not by those it took.

    Parameters
    ----------
    clip_norm : float
    noise_multiplier : float
    sampling_rate : float

    References
    ----------
    M. Abadi et al. Deep learning with differential privacy. ACM CCS, 2016. arXiv 1607.00133.
    """

    clip_norm: float
    noise_multiplier: float
    sampling_rate: float

    def __post_init__(self) -> None:
        check_noise(self.clip_norm, self.noise_multiplier, self.sampling_rate)

    def batches(self, n_rows: int, steps: int, noise: NoiseSource) -> Iterator[np.ndarray]:
        """Yield each step's rows as indices, sorted. A step may have none, and is taken still."""
        for _ in range(steps):
            yield np.flatnonzero(noise.bernoulli(n_rows, self.sampling_rate))

    def steps_of(self, epochs: int) -> int:
        """Return the steps that take a row `epochs` times in the mean, the same in all silos."""
        return ceil(epochs / self.sampling_rate)

    def clipped_sum(self, row_gradients: np.ndarray) -> np.ndarray:
        """Return the sum of clipped gradients, shape (p,), of those of rows, shape (b, p).

        The gradients of a batch may come in parts, whose sums are added up.
        """
        return clip_rows(row_gradients, self.clip_norm)

    def gradient_of(
        self,
        rows: np.ndarray,
        size: int,
        row_gradients: Callable[[np.ndarray], np.ndarray],
    ) -> np.ndarray:
        """Return the sum of clipped gradients of many rows, a bounded number of them at a time.

        Parameters
        ----------
        rows : numpy.ndarray of int
            As `batches` yields them.
        size : int
            Number of parameters p.
        row_gradients : callable
            From some of the rows to their gradients, shape (b, p).
        """
        total = np.zeros(size)
        at_once = max(1, _AT_ONCE // (8 * size))
        for start in range(0, len(rows), at_once):
            total += self.clipped_sum(row_gradients(rows[start : start + at_once]))
        return total

    def noised(self, total: np.ndarray, n_rows: int, noise: NoiseSource) -> np.ndarray:
        """Return a step's gradient from the sum of its clipped gradients.

        Parameters
        ----------
        total : numpy.ndarray of shape (p,)
            Zeros where the step took no row.
        n_rows : int
            Rows of the silo, from which the step has sampled.
        noise : NoiseSource
        """
        noisy = total + noise.normal(total.shape, self.noise_multiplier * self.clip_norm)
        return np.asarray(noisy / max(1.0, self.sampling_rate * n_rows))

    def event(self, steps: int) -> PrivacyEvent:
        """Return what `steps` steps cost: known before they are taken, the same in all silos."""
        return PrivacyEvent(
            self.noise_multiplier,
            sampling_rate=self.sampling_rate,
            count=steps,
            purpose="steps of training",
        )

    def to_dict(self) -> dict[str, Any]:
        """Return JSON, for a request."""
        return asdict(self)

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> RecordPrivacy:
        """Return what `to_dict` wrote."""
        return cls(
            float(facts["clip_norm"]),
            float(facts["noise_multiplier"]),
            float(facts["sampling_rate"]),
        )
