"""Converts the features of rows to the inputs of a network: one or several, of any shape."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from sparkml_dist.dataset.manifest import Manifest
from sparkml_dist.dataset.schema import FeatureSchema
from sparkml_dist.deep.input.columns import find_columns
from sparkml_dist.deep.input.part import DTYPES, InputPart
from sparkml_dist.errors import ConfigurationError, DataError, nearest

__all__ = ["DTYPES", "InputPart", "InputSpec", "NetworkInput"]

#: Input of a network: one array, or arrays by input name.
NetworkInput: TypeAlias = "npt.NDArray[Any] | dict[str, npt.NDArray[Any]]"


@dataclass(frozen=True)
class InputSpec:
    """All inputs of a network, in order.

    Attributes
    ----------
    parts : tuple of InputPart

    Examples
    --------
    >>> spec = InputSpec.single(784, (28, 28, 1))
    >>> spec.take(np.zeros((2, 784), np.float32)).shape
    (2, 28, 28, 1)
    """

    parts: tuple[InputPart, ...]

    @classmethod
    def single(cls, n_features: int, shape: Sequence[int] | None = None) -> InputSpec:
        """Return the spec of a network that takes all features as one float32 input.

        Raises
        ------
        ConfigurationError
            ``input_shape_differs`` when `shape` has another number of values.
        """
        found = (n_features,) if shape is None else _checked_shape(shape, n_features, "input_shape")
        return cls((InputPart("", tuple(range(n_features)), found),))

    @classmethod
    def build(
        cls,
        schema: FeatureSchema,
        inputs: Mapping[str, Any] | None = None,
        shape: Sequence[int] | None = None,
    ) -> InputSpec:
        """Return the spec for a user's description.

        Parameters
        ----------
        schema : FeatureSchema
            The features of the data.
        inputs : mapping of str to (str, sequence of str or mapping), optional
            For each input of the model its columns (names or globs), or a mapping with the keys
            ``columns``, ``shape`` (``[number of features]`` by default) and ``dtype``: one of
            `DTYPES`, by default ``"int32"`` for categories and ``"float32"`` otherwise.
        shape : sequence of int, optional
            Shape of the single input, when `inputs` is not given.

        Returns
        -------
        InputSpec

        Raises
        ------
        ConfigurationError
            ``conflicting_params``, ``invalid_param``, ``input_shape_differs``.
        DataError
            ``column_not_found``.

        Examples
        --------
        >>> spec = InputSpec.build(data.schema, {
        ...     "petal": {"columns": "petal_*", "shape": [2, 1]},
        ...     "sepal": ["sepal_*"],
        ... })
        >>> [part.name for part in spec.parts]
        ['petal', 'sepal']
        """
        if inputs is None:
            return cls.single(schema.n_features, shape)
        if shape is not None:
            raise ConfigurationError(
                "conflicting_params", "Give the shape of each input in inputs, not in inputShape."
            )
        if not isinstance(inputs, Mapping) or not inputs:
            raise ConfigurationError(
                "invalid_param",
                "inputs must be a mapping from the names of the model's inputs to columns. "
                f"Got {inputs!r}.",
            )
        return cls(tuple(_part(schema, name, given) for name, given in inputs.items()))

    @property
    def is_single(self) -> bool:
        """Whether the network takes one array, not a dict of them."""
        return len(self.parts) == 1

    @cached_property
    def is_plain(self) -> bool:
        """Whether the only input is the whole row in memory, apart from its shape."""
        part = self.parts[0]
        return (
            self.is_single
            and part.dtype == "float32"
            and isinstance(part.selection, slice)
            and part.columns[0] == 0
        )

    @property
    def shape(self) -> Any:
        """Shape of a row: a tuple, or a dict from names to tuples."""
        if self.is_single:
            return self.parts[0].shape
        return {part.name: part.shape for part in self.parts}

    @property
    def dtype(self) -> Any:
        """Type of a row: a text, or a dict from names to texts."""
        if self.is_single:
            return self.parts[0].dtype
        return {part.name: part.dtype for part in self.parts}

    @property
    def row_bytes(self) -> int:
        """Bytes of a row in the network's form."""
        return sum(len(p.columns) * np.dtype(p.dtype).itemsize for p in self.parts)

    def take(self, X: npt.NDArray[Any]) -> NetworkInput:
        """Return the network's input for rows of features.

        Parameters
        ----------
        X : ndarray of float32, shape (n, n_features)

        Returns
        -------
        ndarray of shape (n, *shape), or dict of str to such arrays
        """
        if self.is_single:
            return self.parts[0].take(X)
        return {part.name: part.take(X) for part in self.parts}

    def zeros(self, rows: int) -> NetworkInput:
        """Return rows of zeros in the network's form."""
        width = 1 + max(max(part.columns) for part in self.parts)
        return self.take(np.zeros((rows, width), np.float32))

    def moments(self, mean: npt.NDArray[Any], std: npt.NDArray[Any]) -> Any:
        """Return the mean and standard deviation of every feature by input.

        Parameters
        ----------
        mean, std : ndarray of shape (n_features,)

        Returns
        -------
        tuple of two ndarrays of shape (features of the input,)
            Or, for several inputs, a dict of these by name, without integer inputs.
        """
        found = {p.name: (mean[p.selection], std[p.selection]) for p in self.parts}
        if self.is_single:
            return found[self.parts[0].name]
        return {p.name: found[p.name] for p in self.parts if not p.is_whole}

    def check(self, manifest: Manifest) -> None:
        """Raise for integer inputs whose features have missing values.

        Raises
        ------
        DataError
            ``input_missing``.
        """
        missing = set(manifest.missing_features)
        for part in self.parts:
            if not part.is_whole:
                continue
            codes = part.missing or (-1,) * len(part.columns)
            for column, code in zip(part.columns, codes, strict=True):
                if column in missing and code < 0:
                    raise DataError(
                        "input_missing",
                        f"The feature {manifest.schema.feature_names[column]!r} has missing "
                        f"values, but the input {part.name!r} takes integers.",
                        "Fill them, or list the column as categorical.",
                    )

    def to_dict(self) -> dict[str, Any]:
        """Return the spec as JSON values."""
        return {"parts": [asdict(part) for part in self.parts]}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> InputSpec:
        """Return the spec of JSON values."""
        return cls(tuple(_read_part(dict(part)) for part in value["parts"]))


def _read_part(value: dict[str, Any]) -> InputPart:
    for name in ("columns", "shape", "missing"):
        value[name] = tuple(value[name])
    return InputPart(**value)


_KEYS = ("columns", "shape", "dtype")


def _part(schema: FeatureSchema, name: str, given: Any) -> InputPart:
    options = dict(given) if isinstance(given, Mapping) else {"columns": given}
    for key in options:
        if key not in _KEYS:
            raise ConfigurationError(
                "invalid_param",
                f"The input {name!r} has the option {key!r}.{nearest(key, _KEYS)}",
                f"Options are: {', '.join(_KEYS)}.",
            )
    wanted = options.get("columns")
    names = [wanted] if isinstance(wanted, str) else wanted
    if (
        not isinstance(names, Sequence)
        or not names
        or not all(isinstance(n, str) and n for n in names)
    ):
        raise ConfigurationError(
            "invalid_param",
            f"The input {name!r} must have one or more columns. Got {wanted!r}.",
        )
    columns = find_columns(schema, name, names)
    counts = schema.category_counts(columns)
    dtype = str(options.get("dtype") or ("int32" if all(counts) else "float32"))
    if dtype not in DTYPES:
        raise ConfigurationError(
            "invalid_param",
            f"The dtype of the input {name!r} must be one of {', '.join(DTYPES)}. Got {dtype!r}.",
        )
    shape = options.get("shape")
    found = (
        (len(columns),)
        if shape is None
        else _checked_shape(shape, len(columns), f"The shape of the input {name!r}")
    )
    whole = not dtype.startswith("float")
    missing = tuple(count if count else -1 for count in counts) if whole else ()
    return InputPart(name, columns, found, dtype, missing, ", ".join(names))


def _checked_shape(shape: Sequence[int], values: int, who: str) -> tuple[int, ...]:
    found = tuple(int(s) for s in shape)
    if math.prod(found) != values or any(s < 1 for s in found):
        raise ConfigurationError(
            "input_shape_differs",
            f"{who} must hold all {values} features of a row. Got "
            f"{'×'.join(map(str, found)) or '()'}"
            + (f" = {math.prod(found)} values." if found else "."),
        )
    return found
