"""What all strategies share: the silo's part of a round, and the coordinator's."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.federated.strategies.local_round import LocalRound
from sparkml_dist.federated.training.flat_model import Floats

__all__ = ["Arrays", "RoundShare", "Strategy", "check_at_least", "check_share"]

Arrays = dict[str, Floats]


@dataclass(frozen=True)
class RoundShare:
    """Who took part in a round.

    Attributes
    ----------
    answered : int
        Silos whose update is used.
    silos : int
        Silos of the federation.
    weight : float
        Share of their weight in that of all silos, in (0, 1].
    """

    answered: int
    silos: int
    weight: float


class Strategy(ABC):
    """Base of the strategies: frozen dataclasses of numbers, which travel as JSON.

    The same class runs on both sides: `train` inside a silo, all else at the coordinator.

    Attributes
    ----------
    name : str
        Name in the allow-list.
    robust : bool
        Whether updates may be combined by another rule than their mean.
    personal : bool
        Whether each silo keeps a model of its own.
    equal_mean : bool
        Whether the mean over silos is one of equals, whatever their weights in the loss are.
    """

    name: ClassVar[str]
    robust: ClassVar[bool] = True
    personal: ClassVar[bool] = False
    equal_mean: ClassVar[bool] = False

    def check(self) -> None:
        """Raise ConfigurationError ``invalid_param`` for settings without meaning."""
        return

    # -- at the coordinator ---------------------------------------------------------------

    def begin(self, parameters: Floats, rng: np.random.Generator) -> Arrays:
        """Return the coordinator's state before the first round."""
        return {"parameters": parameters}

    def sent(self, state: Arrays) -> Arrays:
        """Return the arrays that every silo of a round gets, ``parameters`` among them."""
        return {"parameters": state["parameters"]}

    def shapes(self, size: int) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the arrays of a silo's answer, for a model of `size` parameters."""
        return {"delta": (size,)}

    def update(self, state: Arrays, mean: Arrays, share: RoundShare) -> Arrays:
        """Return the state after a round.

        Parameters
        ----------
        state : dict of str to ndarray
        mean : dict of str to ndarray
            Weighted means of the silos' arrays.
        share : RoundShare
        """
        return {**state, "parameters": state["parameters"] + mean["delta"]}

    # -- in a silo ------------------------------------------------------------------------

    def train(self, local: LocalRound) -> Arrays:
        """Train in a silo and return the arrays of its answer."""
        return {"delta": local.train().parameters - local.parameters}

    # -- as JSON --------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values that `strategy_of` makes the same strategy of."""
        return {"name": self.name, **asdict(self)}  # type: ignore[call-overload]

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Strategy:
        """Return the strategy of JSON values."""
        given = {k: v for k, v in value.items() if k != "name"}
        if not all(type(v) in (int, float, bool, str, type(None)) for v in given.values()):
            raise TypeError("the settings of a strategy must be numbers or texts")
        found = cls(**given)
        found.check()
        return found


def check_at_least(name: str, value: float, least: float = 0.0, *, closed: bool = True) -> None:
    """Raise ConfigurationError ``invalid_param`` unless a number is at least (or above) another."""
    if not np.isfinite(value) or value < least or (value == least and not closed):
        sign = ">=" if closed else ">"
        raise ConfigurationError(
            "invalid_param", f"{name} must be {sign} {least:g}. Got {value!r}."
        )


def check_share(name: str, value: float) -> None:
    """Raise ConfigurationError ``invalid_param`` unless a number is >= 0 and < 1."""
    if not 0 <= value < 1:
        raise ConfigurationError("invalid_param", f"{name} must be >= 0 and < 1. Got {value!r}.")
