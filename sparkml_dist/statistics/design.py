"""The design matrix: intercept, numbers, and categories in reference coding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from sparkml_dist.dataset.block import Block
from sparkml_dist.dataset.schema import FeatureSchema, Matrix
from sparkml_dist.errors import DataError
from sparkml_dist.statistics.sparse_columns import SparseColumns

__all__ = ["INTERCEPT", "Design", "Handling", "Rows", "missing_values"]

INTERCEPT = "(intercept)"
#: What is done with rows that have missing values.
Handling = Literal["error", "skip", "mean"]

Array = npt.NDArray[np.float64]


class Rows(NamedTuple):
    """The rows of a block, as a model sees them.

    Attributes
    ----------
    D : ndarray or SparseColumns, shape (n, p)
        The design matrix.
    y : ndarray of float64, shape (n,)
    weight : ndarray of float64, shape (n,)
    offset : ndarray of float64, shape (n,), or 0.0
    key : ndarray of int64, shape (n,)
    """

    D: Any
    y: Array
    weight: Array
    offset: Any
    key: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Design:
    """Makes the design matrix of features.

    Its columns are the intercept (if there is one), then those of each feature: the number less its
    `centre`, or for a category one column for each category but the first.

    Attributes
    ----------
    names : tuple of str
        Of the features.
    categories : tuple of tuple of str
        Categories of each feature; empty for numbers.
    intercept : bool
    offset : int or None
        The feature that is an offset, and no column.
    sparse : bool
    handling : {"error", "skip", "mean"}
    means : tuple of float
        Mean of each feature, for missing values.
    centre : tuple of float
        What is subtracted from each column of `all_terms`; empty for nothing.
    dropped : tuple of int
        Columns of `all_terms` that are left out.
    """

    names: tuple[str, ...]
    categories: tuple[tuple[str, ...], ...]
    intercept: bool = True
    offset: int | None = None
    sparse: bool = False
    handling: Handling = "error"
    means: tuple[float, ...] = ()
    centre: tuple[float, ...] = ()
    dropped: tuple[int, ...] = ()

    def lean(self) -> Design:
        """Return a copy without names where rows are sparse: it travels to tasks in each pass."""
        return replace(self, names=(), categories=()) if self.sparse else self

    @classmethod
    def of(
        cls,
        schema: FeatureSchema,
        *,
        intercept: bool,
        offset: str | None = None,
        handling: Handling = "error",
    ) -> Design:
        """Return the design for the features of a data set."""
        names = tuple(schema.feature_names)
        lists = tuple(c.categories for c in schema.columns for _ in range(c.size))
        at = None if offset is None else names.index(offset)
        return cls(names, lists, intercept, at, schema.layout == "sparse", handling)

    @property
    def width(self) -> int:
        """Number of columns of a dense matrix, those that are left out included."""
        features = sum(max(1, len(c) - 1) for c in self.categories)
        return int(self.intercept) + features - (self.offset is not None)

    @property
    def all_terms(self) -> list[str]:
        """Names of all columns; a category's is ``feature=category``."""
        found = [INTERCEPT] if self.intercept else []
        for i, (name, categories) in enumerate(zip(self.names, self.categories, strict=True)):
            if i == self.offset:
                continue
            found += [f"{name}={c}" for c in categories[1:]] if categories else [name]
        return found

    @property
    def terms(self) -> list[str]:
        """Names of the columns that are not left out."""
        gone = set(self.dropped)
        return [t for i, t in enumerate(self.all_terms) if i not in gone]

    @property
    def references(self) -> dict[str, str]:
        """The category of each categorical feature that has no column."""
        pairs = zip(self.names, self.categories, strict=True)
        return {name: categories[0] for name, categories in pairs if categories}

    def with_centre(self, means: npt.ArrayLike) -> Design:
        """Return a copy that subtracts means from all columns but the intercept."""
        centre = np.asarray(means, np.float64).copy()
        if self.intercept:
            centre[0] = 0.0
        return replace(self, centre=tuple(centre.tolist()))

    def rows(self, block: Block) -> Rows:
        """Return the design matrix of a block's rows, with targets, weights and offsets.

        Raises
        ------
        DataError
            ``missing_values``, where they are refused.
        """
        y = block.y.astype(np.float64)
        weight = block.row_weights
        X, key = block.X, block.key
        missing = self._missing(X)
        if missing is not None:
            if self.handling == "error":
                raise self._refused(X)
            if self.handling == "skip":
                X, y, weight, key = X[~missing], y[~missing], weight[~missing], key[~missing]
        D, offset = self.matrix(X)
        return Rows(D, y, weight, offset, key)

    def matrix(self, X: Matrix) -> tuple[Any, Any]:
        """Return design matrix and offset of encoded features; missing values become means."""
        if self.sparse:
            return self._sparse(X), 0.0
        dense = np.asarray(X, np.float64)
        if self.handling == "mean" and self.means and np.isnan(dense).any():
            dense = np.where(np.isnan(dense), self.means, dense)
        offset: Any = 0.0 if self.offset is None else dense[:, self.offset].copy()
        plain = self.offset is None and not any(self.categories)
        D = np.empty((len(dense), self.width))
        at = 0
        if self.intercept:
            D[:, 0] = 1.0
            at = 1
        if plain:
            D[:, at:] = dense
        else:
            self._fill(D, dense, at)
        if self.centre:
            D -= self.centre
        if self.dropped:
            D = np.delete(D, self.dropped, axis=1)
        return D, offset

    def _fill(self, D: Array, dense: Array, at: int) -> None:
        for feature, categories in enumerate(self.categories):
            if feature == self.offset:
                continue
            column = dense[:, feature]
            if not categories:
                D[:, at] = column
                at += 1
                continue
            for code in range(1, len(categories)):
                D[:, at] = column == code
                at += 1
            if np.isnan(column).any():  # no category: no prediction
                D[np.isnan(column), at - 1] = np.nan

    def _sparse(self, X: Matrix) -> SparseColumns:
        found = sp.csr_matrix(X, dtype=np.float64)
        if self.dropped:
            first = int(self.intercept)
            gone = [d - first for d in self.dropped]
            found = found[:, np.setdiff1d(np.arange(found.shape[1]), gone)]
        return SparseColumns(found, self.intercept)

    def _missing(self, X: Matrix) -> npt.NDArray[np.bool_] | None:
        values: Any = X if isinstance(X, np.ndarray) else X.data
        with np.errstate(invalid="ignore", over="ignore"):
            if np.isfinite(values.sum(dtype=np.float64)):
                return None
        gone = np.isnan(values)
        if not gone.any():
            return None
        if isinstance(X, np.ndarray):
            return np.asarray(gone.any(axis=1))
        counts = np.add.reduceat(np.append(gone, False), X.indptr[:-1])
        return np.asarray((counts > 0) & (np.diff(X.indptr) > 0))

    def _refused(self, X: Matrix) -> DataError:
        if isinstance(X, np.ndarray):
            feature = int(np.flatnonzero(np.isnan(X).any(axis=0))[0])
        else:
            feature = int(X.indices[np.flatnonzero(np.isnan(X.data))[0]])
        return missing_values([self.names[feature] if self.names else f"number {feature}"])

    def to_dict(self) -> dict[str, Any]:
        """Return what a schema does not tell of the design, as JSON values."""
        return {
            "intercept": self.intercept,
            "offset": self.offset,
            "handling": self.handling,
            "means": list(self.means),
            "dropped": list(self.dropped),
        }

    @classmethod
    def from_dict(cls, value: dict[str, Any], schema: FeatureSchema) -> Design:
        """Return the design of `to_dict`, without a centre."""
        offset = value["offset"]
        found = cls.of(schema, intercept=bool(value["intercept"]), handling=value["handling"])
        return replace(
            found,
            offset=None if offset is None else int(offset),
            means=tuple(float(m) for m in value["means"]),
            dropped=tuple(int(d) for d in value["dropped"]),
        )


def missing_values(names: Sequence[str]) -> DataError:
    """Return the error of features with missing values, which are refused."""
    shown = ", ".join(repr(n) for n in names[:5]) + (", …" if len(names) > 5 else "")
    return DataError(
        "missing_values",
        f"{len(names)} feature(s) have missing values: {shown}.",
        'Fill them in, or set handleInvalid to "skip" (leave such rows out) or "mean".',
    )
