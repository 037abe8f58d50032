"""The allow-list of strategies that a user or a message may name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sparkml_dist.errors import ConfigurationError, nearest
from sparkml_dist.federated.strategies.clustered import Clustered
from sparkml_dist.federated.strategies.ditto import Ditto
from sparkml_dist.federated.strategies.fedadagrad import FedAdagrad
from sparkml_dist.federated.strategies.fedadam import FedAdam
from sparkml_dist.federated.strategies.fedavg import FedAvg
from sparkml_dist.federated.strategies.fedavgm import FedAvgM
from sparkml_dist.federated.strategies.feddyn import FedDyn
from sparkml_dist.federated.strategies.fednova import FedNova
from sparkml_dist.federated.strategies.fedprox import FedProx
from sparkml_dist.federated.strategies.fedyogi import FedYogi
from sparkml_dist.federated.strategies.scaffold import Scaffold
from sparkml_dist.federated.strategies.strategy import Strategy

__all__ = ["STRATEGIES", "strategy_of"]

STRATEGIES: dict[str, type[Strategy]] = {
    found.name: found
    for found in (
        FedAvg,
        FedAvgM,
        FedProx,
        Scaffold,
        FedNova,
        FedAdam,
        FedYogi,
        FedAdagrad,
        FedDyn,
        Ditto,
        Clustered,
    )
}


def strategy_of(given: str | Strategy | Mapping[str, Any]) -> Strategy:
    """Return the strategy of a name, of JSON values, or itself.

    Raises
    ------
    ConfigurationError
        ``invalid_param``.
    """
    if isinstance(given, Strategy):
        given.check()
        return given
    value = {"name": given} if isinstance(given, str) else given
    name = value.get("name") if isinstance(value, Mapping) else None
    if not isinstance(name, str) or name not in STRATEGIES:
        raise ConfigurationError(
            "invalid_param",
            f"strategy must be one of {', '.join(STRATEGIES)}, or an object such as "
            f"FedProx(mu=0.1). Got {given!r}.{nearest(str(name), STRATEGIES)}",
        )
    try:
        return STRATEGIES[name].from_dict(value)
    except TypeError as error:
        raise ConfigurationError(
            "invalid_param", f"strategy cannot be {dict(value)!r}: {error}."
        ) from error
