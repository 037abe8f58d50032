"""Sums of float64 without rounding: the same to the bit however the numbers were partitioned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import ConfigurationError

__all__ = ["FLOAT32_RANGE", "FULL_RANGE", "ExactRange"]

Limbs = npt.NDArray[np.int64]

_BITS = 32
_MASK = (1 << _BITS) - 1
# Sums of `_AT_ONCE` digits below 2**34, each times a count below 2**5, stay below 2**53, where
# float64 adds integers without rounding, in whichever order a library of linear algebra adds them.
_AT_ONCE = 1 << 14


@dataclass(frozen=True)
class ExactRange:
    """Integers of any length, as arrays of limbs of 32 bits, that hold sums of floats exactly.

    The number is ``sum(limbs[i] * 2**(low + 32 * i))``. Limbs are int64, so that the
    limbs of many arrays can be added up without carrying. Integer addition does not round: a sum
    does not depend on order or grouping, and `rounded` is what `math.fsum` returns. Bits of a
    number below ``2**low`` are rounded away, in each number by itself.

    Parameters
    ----------
    low : int
        Exponent of the unit.
    limbs : int
        Limbs of a sum; numbers must be smaller than ``2**(low + 32 * (limbs - 1))``.

    Examples
    --------
    >>> import numpy as np
    >>> parts = [FULL_RANGE.total(np.array([[1e16]])), FULL_RANGE.total(np.array([[1.0], [-1e16]]))]
    >>> FULL_RANGE.rounded(parts[0] + parts[1])
    array([1.])
    """

    low: int
    limbs: int

    @classmethod
    def around(cls, largest: int, bits: int = 80) -> ExactRange:
        """Return a range for numbers below ``2**largest``, kept to `bits` bits below that."""
        limbs = -(-bits // _BITS) + 1
        return cls(largest - _BITS * (limbs - 1), limbs)

    def total(
        self, values: npt.ArrayLike, groups: npt.ArrayLike | None = None, n_groups: int = 1
    ) -> Limbs:
        """Add up the rows of a matrix, by groups.

        Parameters
        ----------
        values : array-like of float, shape (n, k)
            Finite.
        groups : array-like of int, shape (n,), optional
            Group of each row, below `n_groups`.
        n_groups : int, default=1

        Returns
        -------
        ndarray of int64, shape (k, limbs), or (n_groups, k, limbs) where there are groups
            Each limb but the last is below ``2**32``.
        """
        rows = np.asarray(values, float)
        n, k = rows.shape
        found = np.zeros((n_groups, k, self.limbs), np.int64)
        group = np.zeros(n, np.int64) if groups is None else np.asarray(groups, np.int64)
        step = max(1, min(_AT_ONCE, (1 << 20) // max(1, k)))
        for at in range(0, n, step):
            limb, digits = self._digits(rows[at : at + step])
            cell = (group[at : at + step, None] * k + np.arange(k)) * self.limbs + limb
            for place, digit in enumerate(digits):
                there = digit != 0
                sums = np.bincount(
                    (cell + place)[there], digit[there].astype(float), minlength=found.size
                )
                found += sums.astype(np.int64).reshape(found.shape)
        found = self.carried(found)
        return found if groups is not None else found[0]

    def products(self, counts: npt.NDArray[Any], values: npt.ArrayLike) -> Limbs:
        """Return ``counts.T @ values`` for small integer counts, without rounding.

        Parameters
        ----------
        counts : ndarray of int, shape (n, b)
            In [0, 32).
        values : array-like of float, shape (n, k)

        Returns
        -------
        ndarray of int64, shape (b, k, limbs)
        """
        rows = np.asarray(values, float)
        found = np.zeros((counts.shape[1], rows.shape[1], self.limbs), np.int64)
        for at in range(0, len(rows), _AT_ONCE):
            limb, digits = self._digits(rows[at : at + _AT_ONCE])
            times = counts[at : at + _AT_ONCE].astype(float).T
            there = {int(i) + place for i in np.unique(limb) for place in range(3)}
            for place in sorted(there & set(range(self.limbs))):
                part = sum(
                    (
                        np.where(limb + shift == place, digit, 0)
                        for shift, digit in enumerate(digits)
                    ),
                    np.zeros(limb.shape, np.int64),
                )
                if part.any():
                    found[:, :, place] += (times @ part.astype(float)).astype(np.int64)
        return self.carried(found)

    def carried(self, limbs: Limbs) -> Limbs:
        """Return the same numbers with limbs below ``2**32``; the last one has the sign."""
        found = limbs.copy()
        for i in range(self.limbs - 1):
            found[..., i + 1] += found[..., i] >> _BITS
            found[..., i] &= _MASK
        return found

    def rounded(self, limbs: Limbs) -> npt.NDArray[np.float64]:
        """Return sums as the nearest float64, shape (…) for limbs of shape (…, limbs)."""
        whole = self.carried(limbs).reshape(-1, self.limbs)
        found = np.zeros(len(whole))
        for row in np.flatnonzero(whole.any(axis=1)):
            lower = int.from_bytes(whole[row, :-1].astype("<u4").tobytes(), "little")
            number = lower + (int(whole[row, -1]) << (_BITS * (self.limbs - 1)))
            try:
                # Division of integers rounds once.
                found[row] = number / (1 << -self.low) if self.low < 0 else number << self.low
            except OverflowError:
                found[row] = np.copysign(np.inf, number)
        return found.reshape(limbs.shape[:-1])

    def _digits(
        self, values: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.int64], list[npt.NDArray[np.int64]]]:
        """Return the lowest limb of each number, and the digits for it and the two above it."""
        fraction, exponent = np.frexp(values)
        mantissa = np.ldexp(fraction, 53).astype(np.int64)
        shift = exponent.astype(np.int64) - 53 - self.low
        below = shift < 0
        if below.any():
            mantissa[below] = np.rint(np.ldexp(values[below], -self.low)).astype(np.int64)
        shift[below | (mantissa == 0)] = 0
        if shift.size and int((shift + 53).max()) > _BITS * (self.limbs - 1):
            largest = float(np.abs(values).max())
            raise ConfigurationError(
                "invalid_sums",
                f"A number of the size {largest:g} is too large for this sum.",
                "Scale the columns, so that no product of two numbers exceeds 1e38.",
            )
        sign, size = np.sign(mantissa), np.abs(mantissa)
        bits = shift % _BITS
        first, second = (size & _MASK) << bits, (size >> _BITS) << bits
        digits = [first & _MASK, (first >> _BITS) + (second & _MASK), second >> _BITS]
        return shift // _BITS, [sign * digit for digit in digits]


#: Every float64. A sum takes 560 bytes.
FULL_RANGE = ExactRange(-1088, 70)
#: Numbers below 1e38, kept to 1e-38, for matrices of many sums. A sum takes 72 bytes.
FLOAT32_RANGE = ExactRange(-128, 9)
