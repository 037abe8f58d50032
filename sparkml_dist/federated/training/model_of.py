"""The allow-list of models that a message or a saved file may name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from itertools import pairwise
from typing import Any

from sparkml_dist.errors import TrainingError
from sparkml_dist.federated.training.flat_model import FlatModel
from sparkml_dist.federated.training.fourier import Fourier
from sparkml_dist.federated.training.linear import Linear
from sparkml_dist.federated.training.network import Network
from sparkml_dist.federated.training.perceptron import Perceptron

__all__ = ["model_of"]

_MODELS: dict[str, type[FlatModel]] = {
    model.kind: model for model in (Linear, Perceptron, Fourier, Network)
}
#: More parameters are not believed of a message.
_MOST = 1 << 30


def model_of(value: Mapping[str, Any]) -> FlatModel:
    """Return the model that `FlatModel.to_dict` described.

    Raises
    ------
    TrainingError
        ``message_damaged`` for anything else.
    """
    return _made(json.dumps(dict(value), sort_keys=True))


@lru_cache(maxsize=8)
def _made(text: str) -> FlatModel:
    value = json.loads(text)
    try:
        if not 0 <= sum(_sizes(value)) <= _MOST:
            raise ValueError(f"it has more than {_MOST:,} units")
        return _MODELS[value["kind"]].from_dict(value)
    except (KeyError, TypeError, ValueError) as error:
        raise TrainingError(
            "message_damaged",
            f"A message of the federation describes no model: {type(error).__name__}: "
            f"{str(error)[:120]}.",
            f"Models are: {', '.join(_MODELS)}.",
        ) from error


def _sizes(value: Any) -> list[int]:
    """Return the products of all numbers of units in a description."""
    widths = [value.get("width", 0), *value.get("hidden", ()), value.get("n_outputs", 0)]
    widths.append(value.get("n_features", 0))
    if any(type(w) is not int or w < 0 for w in widths):
        raise TypeError("numbers of units must be integers of at least 0")
    found = [a * max(1, b) for a, b in pairwise(widths)]
    return [*found, value.get("width", 0) * value.get("n_features", 0)]
