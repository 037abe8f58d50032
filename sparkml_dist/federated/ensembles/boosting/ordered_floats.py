"""Numbers of 32 bits whose order is that of single-precision floats."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["KEY_BITS", "float_of", "key_of"]

#: Keys are whole numbers below ``2**KEY_BITS``.
KEY_BITS = 32
_SIGN = np.uint32(1 << 31)


def key_of(values: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return a key for each float that is no NaN; keys have the order of the floats.

    Parameters
    ----------
    values : ndarray, shape (n,)
        Rounded to single precision; -0 and 0 have one key.

    Returns
    -------
    ndarray of int64, shape (n,)
    """
    bits = (np.asarray(values, np.float32) + np.float32(0)).view(np.uint32)
    return np.where(bits & _SIGN, ~bits, bits | _SIGN).astype(np.int64)


def float_of(keys: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return the float of each key; those beyond infinity give the nearest infinity.

    Parameters
    ----------
    keys : ndarray of int, shape (n,)
    """
    least, most = key_of(np.array([-np.inf, np.inf]))
    own = np.clip(np.asarray(keys, np.int64), least, most).astype(np.uint32)
    return np.where(own & _SIGN, own ^ _SIGN, ~own).astype(np.uint32).view(np.float32)
