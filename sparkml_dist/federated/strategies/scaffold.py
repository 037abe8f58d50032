"""Control variates that take the drift of silos out of their steps."""

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
from sparkml_dist.federated.training.flat_model import Floats

__all__ = ["Scaffold"]


@dataclass(frozen=True)
class Scaffold(Strategy):
    """Each silo's steps are corrected by the difference of the mean gradient from its own.

    A silo keeps the mean gradient of its last training (option II of the paper); the coordinator
    the mean of these. Messages are twice as long as those of `FedAvg`.

    Parameters
    ----------
    serverRate : float, default=1.0

    References
    ----------
    Karimireddy et al. (2020), "SCAFFOLD: stochastic controlled averaging for federated learning",
    arXiv:1910.06378.
    """

    serverRate: float = 1.0

    name: ClassVar[str] = "scaffold"
    robust: ClassVar[bool] = False

    def check(self) -> None:
        """Raise ConfigurationError ``invalid_param`` for settings without meaning."""
        check_at_least("serverRate", self.serverRate, closed=False)

    def begin(self, parameters: Floats, rng: np.random.Generator) -> Arrays:
        """Return the coordinator's first state; see `Strategy.begin`."""
        return {"parameters": parameters, "control": np.zeros_like(parameters)}

    def sent(self, state: Arrays) -> Arrays:
        """Return the arrays that every silo gets; see `Strategy.sent`."""
        return {"parameters": state["parameters"], "control": state["control"]}

    def shapes(self, size: int) -> dict[str, tuple[int, ...]]:
        """Return the shapes of an answer's arrays; see `Strategy.shapes`."""
        return {"delta": (size,), "control": (size,)}

    def train(self, local: LocalRound) -> Arrays:
        """Train in a silo; see `Strategy.train`."""
        common = np.asarray(local.arrays["control"], np.float64)
        own = local.kept().get("control", np.zeros_like(common))
        found = local.train(correction=lambda _: common - own)
        delta = found.parameters - local.parameters
        if not found.steps:
            return {"delta": delta, "control": np.zeros_like(delta)}
        # With momentum a step is longer than the learning rate.
        fresh = own - common - delta / (found.length * local.settings.rate)
        local.keep(control=fresh)
        return {"delta": delta, "control": fresh - own}

    def update(self, state: Arrays, mean: Arrays, share: RoundShare) -> Arrays:
        """Return the state after a round; see `Strategy.update`."""
        return {
            "parameters": state["parameters"] + self.serverRate * mean["delta"],
            "control": state["control"] + share.weight * mean["control"],
        }
