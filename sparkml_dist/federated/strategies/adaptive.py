"""Base of the strategies with an adaptive optimizer at the coordinator."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from sparkml_dist.federated.strategies.strategy import (
    Arrays,
    RoundShare,
    Strategy,
    check_at_least,
    check_share,
)
from sparkml_dist.federated.training.flat_model import Floats

__all__ = ["Adaptive"]


@dataclass(frozen=True)
class Adaptive(Strategy):
    """The mean change of a round is taken for a gradient: each coordinate has a step of its own.

    Parameters
    ----------
    serverRate : float
        Step of the coordinator, about the largest change of a parameter in a round.
    beta1 : float
        Share of the last rounds' mean change that is kept.
    beta2 : float
        Share of the last rounds' squared changes that is kept.
    tau : float
        Least root of the squared changes: larger values adapt less.
    """

    serverRate: float = 0.1
    beta1: float = 0.9
    beta2: float = 0.99
    tau: float = 1e-3

    def check(self) -> None:
        """Raise ConfigurationError ``invalid_param`` for settings without meaning."""
        check_at_least("serverRate", self.serverRate, closed=False)
        check_share("beta1", self.beta1)
        check_share("beta2", self.beta2)
        check_at_least("tau", self.tau, closed=False)

    @abstractmethod
    def squares(self, old: Floats, change: Floats) -> Floats:
        """Return the squared changes to divide by, from those of before and a round's change."""

    def begin(self, parameters: Floats, rng: np.random.Generator) -> Arrays:
        """Return the coordinator's first state; see `Strategy.begin`."""
        return {
            "parameters": parameters,
            "mean": np.zeros_like(parameters),
            "square": np.full_like(parameters, self.tau**2),
        }

    def update(self, state: Arrays, mean: Arrays, share: RoundShare) -> Arrays:
        """Return the state after a round; see `Strategy.update`."""
        moved = self.beta1 * state["mean"] + (1 - self.beta1) * mean["delta"]
        square = self.squares(state["square"], mean["delta"])
        step = self.serverRate * moved / (np.sqrt(square) + self.tau)
        return {"parameters": state["parameters"] + step, "mean": moved, "square": square}
