"""Federated averaging with momentum at the coordinator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sparkml_dist.federated.strategies.strategy import (
    Arrays,
    RoundShare,
    Strategy,
    check_at_least,
    check_share,
)
from sparkml_dist.federated.training.flat_model import Floats

__all__ = ["FedAvgM"]


@dataclass(frozen=True)
class FedAvgM(Strategy):
    """`FedAvg` whose mean changes gather speed over rounds.

    Parameters
    ----------
    momentum : float, default=0.9
        Share of the last round's speed that is kept (>= 0, < 1).
    serverRate : float, default=1.0

    References
    ----------
    Hsu, Qi, Brown (2019), "Measuring the effects of non-identical data distribution for federated
    visual classification", arXiv:1909.06335.
    """

    momentum: float = 0.9
    serverRate: float = 1.0

    name: ClassVar[str] = "fedavgm"

    def check(self) -> None:
        """Raise ConfigurationError ``invalid_param`` for settings without meaning."""
        check_share("momentum", self.momentum)
        check_at_least("serverRate", self.serverRate, closed=False)

    def begin(self, parameters: Floats, rng: np.random.Generator) -> Arrays:
        """Return the coordinator's first state; see `Strategy.begin`."""
        return {"parameters": parameters, "speed": np.zeros_like(parameters)}

    def update(self, state: Arrays, mean: Arrays, share: RoundShare) -> Arrays:
        """Return the state after a round; see `Strategy.update`."""
        speed = self.momentum * state["speed"] + mean["delta"]
        return {"parameters": state["parameters"] + self.serverRate * speed, "speed": speed}
