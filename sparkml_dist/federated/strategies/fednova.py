"""Normalized averaging: silos that take more steps do not pull the model more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sparkml_dist.federated.strategies.local_round import LocalRound
from sparkml_dist.federated.strategies.strategy import (
    Arrays,
    RoundShare,
    Strategy,
    check_at_least,
)

__all__ = ["FedNova"]


@dataclass(frozen=True)
class FedNova(Strategy):
    """Changes of silos are divided by their number of steps before they are averaged, and the mean
    is multiplied by the mean number of steps.

    With unequal numbers of rows and whole epochs, `FedAvg` converges to the optimum of another
    loss; this does not.

    Parameters
    ----------
    serverRate : float, default=1.0

    References
    ----------
    Wang et al. (2020), "Tackling the objective inconsistency problem in heterogeneous federated
    optimization", arXiv:2007.07481.
    """

    serverRate: float = 1.0

    name: ClassVar[str] = "fednova"
    robust: ClassVar[bool] = False

    def check(self) -> None:
        """Raise ConfigurationError ``invalid_param`` for settings without meaning."""
        check_at_least("serverRate", self.serverRate, closed=False)

    def shapes(self, size: int) -> dict[str, tuple[int, ...]]:
        """Return the shapes of an answer's arrays; see `Strategy.shapes`."""
        return {"delta": (size,), "length": (1,)}

    def train(self, local: LocalRound) -> Arrays:
        """Train in a silo; see `Strategy.train`."""
        found = local.train()
        delta = (found.parameters - local.parameters) / max(found.length, 1.0)
        return {"delta": delta, "length": np.array([found.length])}

    def update(self, state: Arrays, mean: Arrays, share: RoundShare) -> Arrays:
        """Return the state after a round; see `Strategy.update`."""
        step = self.serverRate * float(mean["length"][0]) * mean["delta"]
        return {**state, "parameters": state["parameters"] + step}
