"""Several common models, of which each silo trains the one that fits it best."""

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

__all__ = ["Clustered"]


@dataclass(frozen=True)
class Clustered(Strategy):
    """Each silo takes the model with the least loss on its rows; models are means over their silos.

    An answer holds zeros for the models that the silo did not take, so that a secure sum hides
    which it took.

    Parameters
    ----------
    k : int, default=2
        Number of models.
    spread : float, default=0.1
        Standard deviation of the noise by which the models differ at first.

    References
    ----------
    Ghosh, Chung, Yin, Ramchandran (2020), "An efficient framework for clustered federated
    learning", arXiv:2006.04088 (IFCA, model averaging).
    """

    k: int = 2
    spread: float = 0.1

    name: ClassVar[str] = "clustered"
    robust: ClassVar[bool] = False
    personal: ClassVar[bool] = True

    def check(self) -> None:
        """Raise ConfigurationError ``invalid_param`` for settings without meaning."""
        check_at_least("k", self.k, 1)
        check_at_least("spread", self.spread, closed=False)

    def begin(self, parameters: Floats, rng: np.random.Generator) -> Arrays:
        """Return the coordinator's first state; see `Strategy.begin`."""
        noise = self.spread * rng.standard_normal((self.k, len(parameters)))
        models = (parameters + noise).reshape(-1)
        return {"parameters": parameters, "models": models, "sizes": np.full(self.k, 1 / self.k)}

    def sent(self, state: Arrays) -> Arrays:
        """Return the arrays that every silo gets; see `Strategy.sent`."""
        return {"parameters": state["parameters"], "models": state["models"]}

    def shapes(self, size: int) -> dict[str, tuple[int, ...]]:
        """Return the shapes of an answer's arrays; see `Strategy.shapes`."""
        return {"delta": (self.k * size,), "taken": (self.k,)}

    def train(self, local: LocalRound) -> Arrays:
        """Train in a silo; see `Strategy.train`."""
        models = np.asarray(local.arrays["models"], np.float64).reshape(self.k, -1)
        best = int(np.argmin([local.loss_of(model) for model in models]))
        found = local.train(models[best])
        taken, delta = np.zeros(self.k), np.zeros_like(models)
        taken[best], delta[best] = 1.0, found.parameters - models[best]
        local.keep(personal=found.parameters, buffers=found.buffers, cluster=np.array([best]))
        return {"delta": delta.reshape(-1), "taken": taken}

    def update(self, state: Arrays, mean: Arrays, share: RoundShare) -> Arrays:
        """Return the state after a round; see `Strategy.update`."""
        taken = mean["taken"]
        delta = mean["delta"].reshape(self.k, -1)
        whole = np.where(taken > 0, taken, 1.0)[:, None]
        models = state["models"].reshape(self.k, -1) + delta / whole
        return {
            # The model for a silo that is not known: that of the largest cluster.
            "parameters": models[int(np.argmax(taken))],
            "models": models.reshape(-1),
            "sizes": taken,
        }
