"""Adagrad at the coordinator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sparkml_dist.federated.strategies.adaptive import Adaptive
from sparkml_dist.federated.training.flat_model import Floats

__all__ = ["FedAdagrad"]


@dataclass(frozen=True)
class FedAdagrad(Adaptive):
    """Squared changes of all rounds are added up, as in Adagrad.

    Parameters
    ----------
    serverRate, beta1, beta2, tau : float
        See `Adaptive`.

    References
    ----------
    Reddi et al. (2021), "Adaptive federated optimization", arXiv:2003.00295.
    """

    beta1: float = 0.0

    name: ClassVar[str] = "fedadagrad"

    def squares(self, old: Floats, change: Floats) -> Floats:
        """Return the squared changes; see `Adaptive.squares`."""
        return old + change**2
