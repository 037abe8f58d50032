"""Named arrays as one vector of float64 and one of int64."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.cluster.sums.summation_tree import sum_overflow
from sparkml_dist.errors import ConfigurationError

__all__ = ["Arrays", "Layout", "Summands"]

#: What a function that is summed up returns.
Summands = Mapping[str, npt.ArrayLike]
#: Their sums.
Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Layout:
    """Names, types and shapes of the arrays that a function returns.

    Attributes
    ----------
    fields : tuple of (str, bool, tuple of int)
        Of each array its name, whether it holds integers, and its shape.
    """

    fields: tuple[tuple[str, bool, tuple[int, ...]], ...]

    @classmethod
    def pack(
        cls, arrays: Summands
    ) -> tuple[Layout, tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]]:
        """Return the layout of arrays and copies of their values, concatenated.

        Raises
        ------
        ConfigurationError
            ``invalid_sums`` unless it is a mapping of names to numeric arrays.
        DataError
            ``sum_overflow`` where an unsigned number is too great for int64.
        """
        if not isinstance(arrays, Mapping):
            raise ConfigurationError(
                "invalid_sums",
                f"What is summed up must be a dict of arrays. Got {type(arrays).__name__}.",
                'Return something like {"gram": X.T @ X, "rows": len(X)}.',
            )
        fields: list[tuple[str, bool, tuple[int, ...]]] = []
        flat: dict[bool, list[npt.NDArray[Any]]] = {False: [], True: []}
        for name, value in arrays.items():
            array = np.asarray(value)
            whole = array.dtype.kind in "biu"
            if not isinstance(name, str) or array.dtype.kind not in "biuf":
                raise ConfigurationError(
                    "invalid_sums",
                    f"{name!r} holds values of the type {array.dtype}, which have no sum here.",
                    "Names are strings, and arrays hold floats, integers or booleans.",
                )
            if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.int64).max:
                raise sum_overflow()
            fields.append((name, whole, array.shape))
            flat[whole].append(array.ravel())
        return cls(tuple(fields)), (_joined(flat[False], float), _joined(flat[True], np.int64))

    def lengths(self) -> tuple[int, int]:
        """Return the lengths of the two vectors."""
        sizes = {False: 0, True: 0}
        for _, whole, shape in self.fields:
            sizes[whole] += math.prod(shape)
        return sizes[False], sizes[True]

    def unpack(self, floats: npt.NDArray[np.float64], ints: npt.NDArray[np.int64]) -> Arrays:
        """Return the arrays as views of the two vectors."""
        found: Arrays = {}
        at = {False: 0, True: 0}
        for name, whole, shape in self.fields:
            end = at[whole] + math.prod(shape)
            found[name] = (ints if whole else floats)[at[whole] : end].reshape(shape)
            at[whole] = end
        return found

    def __str__(self) -> str:
        kinds = ("float64", "int64")
        return "{" + ", ".join(f"{n}: {kinds[w]}{list(s)}" for n, w, s in self.fields) + "}"

    def to_json(self) -> str:
        """Return the layout as text, equal for equal layouts."""
        return json.dumps(self.fields)

    @classmethod
    def from_json(cls, text: str) -> Layout:
        """Return the layout that `to_json` wrote."""
        return cls(tuple((name, whole, tuple(shape)) for name, whole, shape in json.loads(text)))


def _joined(arrays: list[npt.NDArray[Any]], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return a concatenated copy of arrays; -0.0 becomes 0.0, so that zeros need not be sent.

    Pages of zeros take no memory.
    """
    found = np.zeros(sum(array.size for array in arrays), dtype)
    at = 0
    for array in arrays:
        part = found[at : at + array.size]
        if 8 * np.count_nonzero(array) < array.size:
            cells = np.flatnonzero(array)
            part[cells] = array[cells]
        else:
            part += array.astype(dtype, copy=False)
        at += array.size
    return found
