"""Arrays as words modulo 2^bits, whose sums over silos cannot overflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import floor, log2, prod
from typing import Any

import numpy as np

from sparkml_dist.errors import ConfigurationError, DataError

# A value that was clipped to the range in 32-bit floats may lie a rounding above it.
_ROUNDING = 2.0**-20


@dataclass(frozen=True)
class ArrayForm:
    """Name, shape and range of an array that is summed, and whether it holds integers."""

    name: str
    shape: tuple[int, ...]
    whole: bool
    range: float


@dataclass(frozen=True)
class FixedPoint:
    """Writes arrays of floats in steps of a power of two, integers as they are, in one vector.

    The step is the smallest for which the sum of `parties` values in the declared range stays
    below 2^(bits - 1): what is added is exact, and the error of a sum is half a step for each
    party.

    Parameters
    ----------
    bits : 32 or 64
    parties : int
        Silos that the sum may have.
    forms : sequence of ArrayForm
        The arrays, in the order of the vector.

    Raises
    ------
    ConfigurationError
        ``secure_range``: sums of integers of this range do not fit into the words.
    """

    bits: int
    parties: int
    forms: Sequence[ArrayForm]

    def __post_init__(self) -> None:
        for form in self.forms:
            if not 0 < form.range < np.inf or (
                form.whole and form.range * self.parties >= 2 ** (self.bits - 1)
            ):
                raise ConfigurationError(
                    "secure_range",
                    f"Sums over {self.parties} silos of {form.name!r} with the range "
                    f"{form.range:g} do not fit into words of {self.bits} bits.",
                    "Declare a smaller positive range, or take bits=64.",
                )

    @classmethod
    def of(
        cls,
        arrays: Mapping[str, tuple[str, tuple[int, ...]]],
        ranges: Mapping[str, float],
        bits: int,
        parties: int,
    ) -> FixedPoint:
        """Return the form of arrays, in the order of their names.

        Parameters
        ----------
        arrays : mapping of str to (str, tuple of int)
            Type and shape of each.
        ranges : mapping of str to float
            Range of an array by its name, and under ``""`` that of other arrays of floats. Other
            integers may be as large as their sum fits.
        bits, parties : int
        """
        forms = []
        for name, (kind, shape) in sorted(arrays.items()):
            whole = np.dtype(kind).kind in "iub"
            # A little less than fits: a float of 53 bits may be rounded up.
            other = 2.0 ** (bits - 1) / parties * (1 - 2.0**-50) if whole else ranges[""]
            forms.append(ArrayForm(name, tuple(shape), whole, float(ranges.get(name, other))))
        return cls(bits, parties, forms)

    @property
    def dtype(self) -> np.dtype:
        """The words' type, little-endian."""
        return np.dtype("<u4" if self.bits == 32 else "<u8")

    @property
    def size(self) -> int:
        """Words of the vector."""
        return sum(prod(form.shape) for form in self.forms)

    def step(self, form: ArrayForm) -> float:
        """Return the distance of two neighbouring numbers."""
        if form.whole:
            return 1.0
        most = (2 ** (self.bits - 1) - 1) / self.parties - 0.5
        return 2.0 ** -floor(log2(most / (form.range * (1 + _ROUNDING))))

    def encode(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the words of one silo's arrays.

        Raises
        ------
        DataError
            ``secure_range_exceeded``: a value is not finite or lies beyond its array's range. The
            message does not say the value, since it leaves the silo.
        """
        words = np.empty(self.size, self.dtype)
        signed = words.view(f"<i{self.bits // 8}")
        start = 0
        for form in self.forms:
            part = signed[start : start + prod(form.shape)]
            values = np.asarray(arrays[form.name]).reshape(-1)
            start += len(part)
            if not len(values):
                continue
            limit = form.range if form.whole else form.range * (1 + _ROUNDING)
            # Not a number fails both comparisons.
            if not (values.max() <= limit and values.min() >= -limit):
                raise DataError(
                    "secure_range_exceeded",
                    f"A value of {form.name!r} is not finite or beyond the range {form.range:g} "
                    "that is declared for the secure sum.",
                    "Declare a larger range, or clip the values.",
                )
            if form.whole:
                part[:] = values
                continue
            narrow = self.bits == 32 and values.dtype == np.float32
            kind: Any = np.float32 if narrow else np.float64
            scaled = np.multiply(values, kind(1.0 / self.step(form)), dtype=kind)
            np.rint(scaled, out=scaled)
            part[:] = scaled
        return words

    def decode(self, words: np.ndarray) -> dict[str, np.ndarray]:
        """Return the arrays of a sum: ``int64`` where they are integers, else ``float64``."""
        signed = words.view(f"<i{self.bits // 8}")
        arrays: dict[str, np.ndarray] = {}
        start = 0
        for form in self.forms:
            part = signed[start : start + prod(form.shape)].reshape(form.shape)
            start += part.size
            arrays[form.name] = (
                part.astype(np.int64) if form.whole else part * np.float64(self.step(form))
            )
        return arrays
