"""Row keys and random draws that are functions of them.

A draw must be the same after a retry, a recomputation or a resume, in Spark and in numpy. Both
therefore use XXH64 (Yann Collet, https://github.com/Cyan4973/xxHash) of 64-bit integers, chained as
Spark's ``xxhash64`` chains its arguments.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from pyspark.sql import Column

__all__ = ["hash_long", "salt", "spark_uniform", "uniform", "xxhash64"]

_P1 = np.uint64(0x9E3779B185EBCA87)
_P2 = np.uint64(0xC2B2AE3D27D4EB4F)
_P3 = np.uint64(0x165667B19E3779F9)
_P4 = np.uint64(0x85EBCA77C2B2AE63)
_P5 = np.uint64(0x27D4EB2F165667C5)
_SPARK_SEED = 42
_BITS = 53

UInt64Array = npt.NDArray[np.uint64]


def _rotate_left(x: UInt64Array, r: int) -> UInt64Array:
    return (x << np.uint64(r)) | (x >> np.uint64(64 - r))


def _as_bits(values: npt.ArrayLike) -> UInt64Array:
    array = np.asarray(values)
    if array.dtype == np.uint64:
        return array
    return array.astype(np.int64, copy=False).view(np.uint64)


def hash_long(values: npt.ArrayLike, seed: npt.ArrayLike) -> UInt64Array:
    """Return XXH64 of 64-bit integers.

    Parameters
    ----------
    values : array-like of int, shape (n,) or scalar
        Values to hash; eight bytes each, little endian.
    seed : array-like of int, shape (n,) or scalar
        Seed of each hash.

    Returns
    -------
    ndarray of uint64, shape (n,)
        The hashes; ``.view(np.int64)`` gives Spark's signed numbers.
    """
    with np.errstate(over="ignore"):
        x = np.atleast_1d(_as_bits(values))
        h = np.atleast_1d(_as_bits(seed)) + _P5 + np.uint64(8)
        h = h ^ (_rotate_left(x * _P2, 31) * _P1)
        h = _rotate_left(h, 27) * _P1 + _P4
        h = (h ^ (h >> np.uint64(33))) * _P2
        h = (h ^ (h >> np.uint64(29))) * _P3
        return h ^ (h >> np.uint64(32))


def xxhash64(*parts: npt.ArrayLike) -> UInt64Array:
    """Return the value of Spark's ``xxhash64(*columns)`` for columns of type long."""
    h: npt.ArrayLike = _SPARK_SEED
    for part in parts:
        h = hash_long(part, h)
    return np.asarray(h, dtype=np.uint64)


def salt(purpose: str) -> int:
    """Return a 63-bit number for `purpose`; draws for different purposes are independent."""
    data = purpose.encode().ljust((len(purpose) // 8 + 1) * 8, b"\0")
    words = np.frombuffer(data, dtype="<i8")
    h: npt.ArrayLike = _SPARK_SEED
    for word in words:
        h = hash_long(word, h)
    return int(np.asarray(h, dtype=np.uint64)[0] >> np.uint64(1))


def uniform(key: npt.ArrayLike, seed: int, purpose: str, index: int = 0) -> npt.NDArray[np.float64]:
    """Return one uniform number in [0, 1) for each row key.

    Parameters
    ----------
    key : array-like of int64, shape (n,)
        Row keys.
    seed : int
        The run's seed.
    purpose : str
        Purpose of the draw (``"bag"``, ``"fold"``, …).
    index : int, default=0
        Number of the draw for that purpose, for example the ensemble member.

    Returns
    -------
    ndarray of float64, shape (n,)
    """
    h = xxhash64(key, seed, salt(purpose), index)
    return (h >> np.uint64(64 - _BITS)).astype(np.float64) / float(1 << _BITS)


def spark_uniform(key: Column, seed: int, purpose: str, index: int = 0) -> Column:
    """Return `uniform` as a Spark column of doubles, equal to the bit."""
    from pyspark.sql import functions as F

    h = F.xxhash64(
        key.cast("long"),
        F.lit(seed).cast("long"),
        F.lit(salt(purpose)).cast("long"),
        F.lit(index).cast("long"),
    )
    return F.shiftrightunsigned(h, 64 - _BITS).cast("double") / F.lit(float(1 << _BITS))
