"""Dynamic regularization: silos' optima are moved until they agree."""

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

__all__ = ["FedDyn"]


@dataclass(frozen=True)
class FedDyn(Strategy):
    """Each silo's loss gets a linear term, its gradient where its last training ended, and a
    proximal one, so that in the limit the optimum of each silo is that of all.

    Silos and coordinator average parameters equally; with weights by rows, a silo's proximal term
    is divided by its weight, as in the authors' program.

    Parameters
    ----------
    alpha : float, default=0.1
        Factor of the proximal term (> 0).

    References
    ----------
    Acar et al. (2021), "Federated learning based on dynamic regularization", arXiv:2111.04263.
    """

    alpha: float = 0.1

    name: ClassVar[str] = "feddyn"
    robust: ClassVar[bool] = False
    equal_mean: ClassVar[bool] = True

    def check(self) -> None:
        """Raise ConfigurationError ``invalid_param`` for settings without meaning."""
        check_at_least("alpha", self.alpha, closed=False)

    def begin(self, parameters: Floats, rng: np.random.Generator) -> Arrays:
        """Return the coordinator's first state; see `Strategy.begin`."""
        return {"parameters": parameters, "drift": np.zeros_like(parameters)}

    def train(self, local: LocalRound) -> Arrays:
        """Train in a silo; see `Strategy.train`."""
        strength = self.alpha / max(local.weight, 1e-3)
        own = local.kept().get("gradient", np.zeros_like(local.parameters))
        found = local.train(correction=lambda at: strength * (at - local.parameters) - own)
        delta = found.parameters - local.parameters
        if found.steps:
            local.keep(gradient=own - strength * delta)
        return {"delta": delta}

    def update(self, state: Arrays, mean: Arrays, share: RoundShare) -> Arrays:
        # The mean gradient of all silos: of those that were away, the old one.
        """Return the state after a round; see `Strategy.update`."""
        drift = state["drift"] - self.alpha * share.answered / share.silos * mean["delta"]
        parameters = state["parameters"] + mean["delta"] - drift / self.alpha
        return {"parameters": parameters, "drift": drift}
