"""Personal models that stay near the common one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sparkml_dist.federated.strategies.fedavg import FedAvg
from sparkml_dist.federated.strategies.local_round import LocalRound
from sparkml_dist.federated.strategies.strategy import Arrays, check_at_least

__all__ = ["Ditto"]


@dataclass(frozen=True)
class Ditto(FedAvg):
    """`FedAvg`, beside which each silo trains a model of its own that stays in the silo.

    A proximal term, lam / 2 times the squared distance, draws it to the common model: with 0 it is
    that of the silo alone.

    Parameters
    ----------
    serverRate : float, default=1.0
    lam : float, default=0.1

    References
    ----------
    Li, Hu, Beirami, Smith (2021), "Ditto: fair and robust federated learning through
    personalization", arXiv:2012.04221.
    """

    lam: float = 0.1

    name: ClassVar[str] = "ditto"
    personal: ClassVar[bool] = True

    def check(self) -> None:
        """Raise ConfigurationError ``invalid_param`` for settings without meaning."""
        super().check()
        check_at_least("lam", self.lam)

    def train(self, local: LocalRound) -> Arrays:
        """Train in a silo; see `Strategy.train`."""
        common = local.parameters
        found = local.train()
        own = local.kept().get("personal", common)
        fresh = local.train(own, lambda at: self.lam * (at - common))
        local.keep(personal=fresh.parameters, buffers=fresh.buffers)
        return {"delta": found.parameters - common}
