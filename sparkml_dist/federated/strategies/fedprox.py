"""Federated averaging with a proximal term in each silo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sparkml_dist.federated.strategies.fedavg import FedAvg
from sparkml_dist.federated.strategies.local_round import LocalRound
from sparkml_dist.federated.strategies.strategy import Arrays, check_at_least

__all__ = ["FedProx"]


@dataclass(frozen=True)
class FedProx(FedAvg):
    """`FedAvg` whose silos stay near the common model: mu / 2 times the squared distance is added
    to their loss.

    Parameters
    ----------
    serverRate : float, default=1.0
    mu : float, default=0.01
        With 0 this is `FedAvg`.

    References
    ----------
    Li et al. (2020), "Federated optimization in heterogeneous networks", arXiv:1812.06127.
    """

    mu: float = 0.01

    name: ClassVar[str] = "fedprox"

    def check(self) -> None:
        """Raise ConfigurationError ``invalid_param`` for settings without meaning."""
        super().check()
        check_at_least("mu", self.mu)

    def train(self, local: LocalRound) -> Arrays:
        """Train in a silo; see `Strategy.train`."""
        found = local.train(correction=lambda at: self.mu * (at - local.parameters))
        return {"delta": found.parameters - local.parameters}
