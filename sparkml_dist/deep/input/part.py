"""One input of a network: its features of a row, their shape and type."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import DataError

__all__ = ["DTYPES", "InputPart"]

#: Types of an input.
DTYPES = ("float32", "float16", "int32", "int64", "uint8")

# Shards hold float32, which represents all integers up to here; 2**24 may also be a rounded
# 2**24 + 1.
_EXACT = 2**24 - 1


@dataclass(frozen=True)
class InputPart:
    """One input of a network.

    Attributes
    ----------
    name : str
        Name of the model's input; ignored for a single input.
    columns : tuple of int
        Positions of its features in a row, in its order.
    shape : tuple of int
        Shape of a row; ``()`` for a single number.
    dtype : str, default="float32"
        One of `DTYPES`. Embeddings need integers.
    missing : tuple of int, default=()
        For an integer input, the code of a missing value for each feature: for a categorical one
        the code after the last, which unseen categories have too; -1 for no code, where a missing
        value is an error.
    source : str, default=""
        Its columns of the table, for messages.
    """

    name: str
    columns: tuple[int, ...]
    shape: tuple[int, ...]
    dtype: str = "float32"
    missing: tuple[int, ...] = ()
    source: str = ""

    @cached_property
    def selection(self) -> slice | npt.NDArray[np.intp]:
        """The index of its columns in a matrix; a slice when they are adjacent."""
        first, size = self.columns[0], len(self.columns)
        if self.columns == tuple(range(first, first + size)):
            return slice(first, first + size)
        return np.asarray(self.columns)

    @property
    def is_whole(self) -> bool:
        """Whether the input takes integers."""
        return not self.dtype.startswith("float")

    @property
    def vocabulary(self) -> int | None:
        """Number of codes of a categorical input, including that of missing values; else None."""
        return max(self.missing) + 1 if self.missing and min(self.missing) >= 0 else None

    def take(self, X: npt.NDArray[Any], out: npt.NDArray[Any] | None = None) -> npt.NDArray[Any]:
        """Return the input for rows of features.

        Parameters
        ----------
        X : ndarray of float32, shape (n, n_features)
        out : ndarray of the input's type, shape (n, number of features it takes), optional
            Output array.

        Returns
        -------
        ndarray of shape (n, *shape)

        Raises
        ------
        DataError
            ``input_missing``, ``input_not_whole`` or ``input_out_of_range`` for values that an
            integer input cannot take.
        """
        values = X[:, self.selection]
        if self.is_whole:
            values = self._whole(values)
        if out is None:
            out = np.ascontiguousarray(values, dtype=self.dtype)
        else:
            np.copyto(out, values, casting="unsafe")
        return out.reshape(len(X), *self.shape)

    def _whole(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        absent = np.isnan(values)
        if absent.any():
            codes = np.asarray(self.missing or (-1,) * len(self.columns))
            column = np.nonzero(absent)[1]
            if codes[column].min() < 0:
                raise DataError(
                    "input_missing",
                    f"{self._who} takes integers, but a value is missing.",
                    "Fill missing values, or list the column as categorical.",
                )
            values = values.copy()
            values[absent] = codes[column]
        if (values != np.floor(values)).any():
            wrong = values[values != np.floor(values)].flat[0]
            raise DataError("input_not_whole", f"{self._who} takes integers. Got {float(wrong):g}.")
        least, most = (0, 255) if self.dtype == "uint8" else (-_EXACT, _EXACT)
        beyond = (values < least) | (values > most)
        if beyond.any():
            raise DataError(
                "input_out_of_range",
                f"{self._who} takes numbers from {least:,} to {most:,} as {self.dtype}. "
                f"Got {float(values[beyond].flat[0]):.10g}.",
                "Shards hold float32, which cannot represent all larger integers: renumber the "
                "values from 0, or split them into two columns."
                if most == _EXACT
                else "",
            )
        return values

    @property
    def _who(self) -> str:
        named = f"The input {self.name!r}" if self.name else "The network's input"
        return named + (f" (from {self.source})" if self.source else "")
