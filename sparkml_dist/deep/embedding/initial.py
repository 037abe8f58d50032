"""Initial rows of a sharded table, as functions of seed and row.

Keras' initializers draw a whole table at once. Here element i of the table is number i of the
seed's SplitMix64 sequence (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number
generators"), so that every rank draws only its own rows, in bounded memory, and the table does not
depend on the number of ranks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.deep.embedding.marks import Shard
from sparkml_dist.errors import ConfigurationError

__all__ = ["initial_rows"]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_PIECE_VALUES = 1 << 22
# Standard deviation of a standard normal truncated at 2, and the probability below -2.
_TRUNCATED_STD = 0.87962566103423978
_TAIL = 0.022750131948179195

Array = npt.NDArray[Any]


def initial_rows(
    initializer: Any, shard: Shard, columns: int, seed: int
) -> npt.NDArray[np.float32]:
    """Return the initial values of a shard's rows.

    Parameters
    ----------
    initializer : keras.Initializer
        ``RandomUniform``, ``RandomNormal``, ``TruncatedNormal``, ``VarianceScaling`` and subclasses
        (``GlorotUniform``, ``HeNormal``, …, with the fans of the whole table), ``Zeros``,
        ``Ones`` or ``Constant``.
    shard : Shard
        The rows.
    columns : int
        Width of the table.
    seed : int
        Seed of all random values of the table.

    Returns
    -------
    ndarray of float32, shape (len(shard), columns)

    Raises
    ------
    ConfigurationError
        ``embedding_initializer`` for any other initializer.
    """
    draw = _draw(initializer, shard.rows, columns)
    found = np.empty((len(shard), columns), np.float32)
    rows = np.arange(shard.index, shard.rows, shard.owners, dtype=np.uint64)
    piece = max(1, _PIECE_VALUES // columns)
    for start in range(0, len(rows), piece):
        part = rows[start : start + piece]
        index = part[:, None] * np.uint64(columns) + np.arange(columns, dtype=np.uint64)
        found[start : start + len(part)] = draw(_uniform(seed, index))
    return found


def _uniform(seed: int, index: Array) -> npt.NDArray[np.float64]:
    """Return elements of a SplitMix64 sequence as numbers in (0, 1)."""
    with np.errstate(over="ignore"):
        z = np.uint64(seed % 2**64) * _MIX_1 + (index + np.uint64(1)) * _GOLDEN
        z = (z ^ (z >> np.uint64(30))) * _MIX_1
        z = (z ^ (z >> np.uint64(27))) * _MIX_2
        z ^= z >> np.uint64(31)
    return ((z >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def _draw(initializer: Any, rows: int, columns: int) -> Callable[[Array], Array]:
    """Return the function that maps uniform numbers to the initializer's distribution."""
    name, config = type(initializer).__name__, initializer.get_config()
    if name in ("Zeros", "Ones", "Constant"):
        value = {"Zeros": 0.0, "Ones": 1.0}.get(name, config.get("value"))
        if np.ndim(value) == 0:
            return lambda u: np.full(u.shape, value)
    if name == "RandomUniform":
        return _uniform_between(config["minval"], config["maxval"])
    if name == "RandomNormal":
        return _normal(config["mean"], config["stddev"])
    if name == "TruncatedNormal":
        return _truncated_normal(config["mean"], config["stddev"])
    if hasattr(initializer, "scale") and hasattr(initializer, "distribution"):
        fan = {"fan_in": rows, "fan_out": columns}.get(initializer.mode, (rows + columns) / 2)
        variance = initializer.scale / max(1.0, fan)
        if initializer.distribution == "uniform":
            limit = math.sqrt(3 * variance)
            return _uniform_between(-limit, limit)
        if initializer.distribution == "untruncated_normal":
            return _normal(0.0, math.sqrt(variance))
        return _truncated_normal(0.0, math.sqrt(variance) / _TRUNCATED_STD)
    raise ConfigurationError(
        "embedding_initializer",
        f"ShardedEmbedding needs an initializer that can draw row by row. Got {name}.",
        "Use 'uniform', 'random_normal', 'truncated_normal', 'glorot_uniform', 'he_normal' or a "
        "similar one, 'zeros', 'ones', or a Constant number.",
    )


def _uniform_between(low: float, high: float) -> Callable[[Array], Array]:
    return lambda u: low + (high - low) * u


def _normal(mean: float, std: float) -> Callable[[Array], Array]:
    from scipy.special import ndtri

    return lambda u: mean + std * ndtri(u)


def _truncated_normal(mean: float, std: float) -> Callable[[Array], Array]:
    normal = _normal(mean, std)
    return lambda u: normal(_TAIL + (1.0 - 2.0 * _TAIL) * u)
