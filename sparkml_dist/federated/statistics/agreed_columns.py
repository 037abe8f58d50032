"""The columns of a federation by name, whether they are features or the label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.dataset.block import Block
from sparkml_dist.dataset.labels import Label
from sparkml_dist.dataset.schema import FeatureSchema
from sparkml_dist.errors import DataError, nearest

__all__ = ["AgreedColumns", "block_of"]

Array = npt.NDArray[np.float64]


class AgreedColumns:
    """Reads columns of blocks by their names in the schema that all silos agreed on.

    Parameters
    ----------
    schema : FederatedSchema

    Attributes
    ----------
    features : FeatureSchema
    label : Label
    """

    def __init__(self, schema: Any) -> None:
        self.features: FeatureSchema = schema.features
        self.label: Label = schema.label
        self._at = {name: i for i, name in enumerate(self.features.feature_names)}
        lists = [c.categories for c in self.features.columns for _ in range(c.size)]
        self._categories = dict(zip(self._at, lists, strict=True))

    @property
    def numbers(self) -> list[str]:
        """Names of the features that are numbers."""
        return [name for name, categories in self._categories.items() if not categories]

    def check(self, *names: str) -> None:
        """Raise `DataError` ``column_not_found`` unless all columns are there."""
        known = [*self._at, self.label.column]
        for name in names:
            if name not in known:
                raise DataError(
                    "column_not_found",
                    f"The silos have no column {name!r}.{nearest(name, known)}",
                    f"Columns are: {', '.join(known[:12])}.",
                )

    def categories(self, name: str) -> list[str]:
        """Return the values of a column of categories or classes, in the order of its codes.

        Raises
        ------
        DataError
            ``column_not_found``, or ``column_type`` for a column of numbers.
        """
        self.check(name)
        found = self._categories.get(name)
        if found is None:
            found = tuple(str(c) for c in self.label.classes)
        if not found:
            raise DataError(
                "column_type",
                f"The column {name!r} holds numbers, not categories.",
                "Name a column of categories, or make it one in every silo.",
            )
        return list(found)

    def check_numbers(self, *names: str) -> None:
        """Raise unless columns hold numbers.

        Raises
        ------
        DataError
            ``column_not_found``, or ``column_type`` for a column of categories.
        """
        self.check(*names)
        for name in names:
            listed: Sequence[Any] = self._categories.get(name, self.label.classes)
            if any(isinstance(value, str) for value in listed):
                raise DataError(
                    "column_type",
                    f"The column {name!r} holds categories, not numbers.",
                    "Name a column of numbers.",
                )

    def codes(self, block: Block, name: str) -> npt.NDArray[np.int64]:
        """Return the code of each row's category, -1 where it is missing."""
        values = self._raw(block, name)
        return np.where(np.isnan(values), -1.0, values).astype(np.int64)

    def numbers_of(self, block: Block, names: Sequence[str]) -> Array:
        """Return columns of numbers, shape (n, columns); missing values are NaN.

        Raises
        ------
        DataError
            ``infinite_feature``.
        """
        found = np.empty((len(block), len(names)))
        for i, name in enumerate(names):
            values = self._raw(block, name)
            if name not in self._at and self.label.classes:
                values = np.asarray([float(c) for c in self.label.classes])[values.astype(np.int64)]
            found[:, i] = values
        if np.isinf(found).any():
            name = names[int(np.flatnonzero(np.isinf(found).any(axis=0))[0])]
            raise DataError("infinite_feature", f"The column {name!r} holds infinite numbers.")
        return found

    def _raw(self, block: Block, name: str) -> Array:
        at = self._at.get(name)
        if at is None:
            return np.asarray(block.y, np.float64)
        column = block.X[:, at]
        dense = column if isinstance(column, np.ndarray) else column.toarray().ravel()
        return np.asarray(dense, np.float64)

    # -- the features of a model ----------------------------------------------------------

    def chosen(self, names: Sequence[str] | None) -> tuple[FeatureSchema, list[int]]:
        """Return the schema of chosen features and their places in blocks.

        Parameters
        ----------
        names : sequence of str or None
            All features for None.
        """
        if names is None:
            return self.features, list(range(len(self._at)))
        unknown = [n for n in names if n not in self._at]
        if unknown:
            raise DataError(
                "column_not_found",
                f"The silos have no feature {unknown[0]!r}.{nearest(unknown[0], list(self._at))}",
                f"Features are: {', '.join(list(self._at)[:12])}.",
            )
        if len(names) < len(self._at) or list(names) != list(self._at):
            if any(c.size != 1 for c in self.features.columns):
                raise DataError(
                    "column_type",
                    "Single features of vectors cannot be chosen.",
                    "Give the silos a column for each feature, or use all features.",
                )
            by_name = {c.feature_names()[0]: c for c in self.features.columns}
            columns = tuple(by_name[n] for n in names)
            return replace(self.features, columns=columns), [self._at[n] for n in names]
        return self.features, list(range(len(self._at)))


def block_of(block: Block, places: Sequence[int]) -> Block:
    """Return a block with chosen features."""
    if list(places) == list(range(block.X.shape[1])):
        return block
    return replace(block, X=block.X[:, list(places)])
