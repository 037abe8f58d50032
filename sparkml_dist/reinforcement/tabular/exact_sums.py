"""Sums of floats as sums of integers: the same to the bit in any order.

A number x is cut off to the integer ``x * 2**(e + 31)``, whose upper and lower words are two
integers, of which sums are exact. As in the reproducible sums of Demmel and Nguyen (2013), "Fast
reproducible floating-point summation", but with two words of fixed places, so that Spark can form
them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["FIRST_EXPONENT", "joined", "limit", "next_exponent", "split_column", "split_values"]

#: Places after the point in the first word: for numbers up to 2048, exact to 2**-51.
FIRST_EXPONENT = 20
_WORD = 31
_LOW = (1 << _WORD) - 1
_LEAST = 2.0**-4


def limit(exponent: int) -> float:
    """Return the largest number that can be split: sums of 2**31 of them do not overflow."""
    return 2.0 ** (_WORD - exponent)


def next_exponent(largest: float, exponent: int) -> int | None:
    """Return the exponent for numbers up to `largest`; None where the one that was used is good."""
    if largest == 0 or _LEAST * limit(exponent) / 2.0**11 <= largest <= limit(exponent):
        return None
    return _WORD - math.ceil(math.log2(largest)) - 1


def split_column(value: str, exponent: int) -> tuple[str, str]:
    """Return two SQL expressions of type long for a double; 0 where it cannot be split."""
    fits = f"if(abs({value}) <= {limit(exponent)!r}D, {value}, 0D)"
    whole = f"cast({fits} * {2.0 ** (exponent + _WORD)!r}D as bigint)"
    return f"shiftright({whole}, {_WORD})", f"({whole} & {_LOW}L)"


def split_values(
    values: npt.NDArray[np.float64], exponent: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the two integers of each number, equal to those of `split_column`."""
    fits = np.abs(values) <= limit(exponent)
    whole = (np.where(fits, values, 0.0) * 2.0 ** (exponent + _WORD)).astype(np.int64)
    return whole >> _WORD, whole & _LOW


def joined(first: Any, second: Any, exponent: int) -> npt.NDArray[np.float64]:
    """Return the numbers that sums of the two integers stand for."""
    low = np.asarray(second, np.float64) * 2.0**-_WORD
    return np.asarray((np.asarray(first, np.float64) + low) * 2.0**-exponent, np.float64)
