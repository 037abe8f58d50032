"""Yogi at the coordinator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sparkml_dist.federated.strategies.adaptive import Adaptive
from sparkml_dist.federated.training.flat_model import Floats

__all__ = ["FedYogi"]


@dataclass(frozen=True)
class FedYogi(Adaptive):
    """Squared changes grow or shrink by no more than a round's own, as in Yogi.

    Parameters
    ----------
    serverRate, beta1, beta2, tau : float
        See `Adaptive`.

    References
    ----------
    Reddi et al. (2021), "Adaptive federated optimization", arXiv:2003.00295.
    """

    name: ClassVar[str] = "fedyogi"

    def squares(self, old: Floats, change: Floats) -> Floats:
        """Return the squared changes; see `Adaptive.squares`."""
        return old - (1 - self.beta2) * change**2 * np.sign(old - change**2)
