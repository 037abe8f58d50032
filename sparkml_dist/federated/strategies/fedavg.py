"""Federated averaging."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sparkml_dist.federated.strategies.strategy import (
    Arrays,
    RoundShare,
    Strategy,
    check_at_least,
)

__all__ = ["FedAvg"]


@dataclass(frozen=True)
class FedAvg(Strategy):
    """Silos train from the same model; the mean of what they changed is added to it.

    Parameters
    ----------
    serverRate : float, default=1.0
        Factor on the mean change.

    References
    ----------
    McMahan et al. (2017), "Communication-efficient learning of deep networks from decentralized
    data", arXiv:1602.05629.
    """

    serverRate: float = 1.0

    name: ClassVar[str] = "fedavg"

    def check(self) -> None:
        """Raise ConfigurationError ``invalid_param`` for settings without meaning."""
        check_at_least("serverRate", self.serverRate, closed=False)

    def update(self, state: Arrays, mean: Arrays, share: RoundShare) -> Arrays:
        """Return the state after a round; see `Strategy.update`."""
        return {**state, "parameters": state["parameters"] + self.serverRate * mean["delta"]}
