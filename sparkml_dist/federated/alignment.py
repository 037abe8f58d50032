"""Puts a silo's rows in the order of columns, categories and classes that all silos use."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from sparkml_dist.dataset import Block
from sparkml_dist.dataset.schema import FeatureSchema
from sparkml_dist.errors import DataError
from sparkml_dist.federated.schema import FederatedSchema

__all__ = ["Alignment"]


@dataclass(frozen=True)
class Alignment:
    """From a silo's own blocks to blocks of the agreed schema, as float64.

    Attributes
    ----------
    places : ndarray of int, shape (n_features,)
        Own feature of each agreed one.
    codes : dict of int to ndarray
        Agreed code of each own code, by agreed categorical feature, where they differ.
    classes : ndarray of int32, or None
        Agreed code of each own class; None where they are the same.
    """

    places: npt.NDArray[np.intp]
    codes: dict[int, npt.NDArray[np.float64]]
    classes: npt.NDArray[np.int32] | None

    @classmethod
    def of(cls, own: FederatedSchema, agreed: FederatedSchema) -> Alignment:
        """Return the alignment of a silo.

        Raises
        ------
        DataError
            ``silos_differ``, naming the column, category or class that does not fit.
        """
        starts = _starts(own.features)
        columns = {c.name: c for c in own.features.columns}
        places: list[int] = []
        codes: dict[int, npt.NDArray[np.float64]] = {}
        for column in agreed.features.columns:
            mine = columns.get(column.name)
            if mine is None or (mine.kind, mine.size) != (column.kind, column.size):
                raise _misfit(f"no column {column.name!r} of the kind {column.kind!r}")
            if mine.categories != column.categories:
                place = {category: i for i, category in enumerate(column.categories)}
                if stray := [c for c in mine.categories if c not in place]:
                    raise _misfit(f"the category {stray[0]!r} in the column {column.name!r}")
                codes[len(places)] = np.array([place[c] for c in mine.categories], float)
            start = starts[column.name]
            places.extend(range(start, start + column.size))
        return cls(np.array(places, np.intp), codes, _classes(own, agreed))

    def apply(self, block: Block) -> Block:
        """Return the rows of an own block in the agreed order."""
        straight = np.array_equal(self.places, np.arange(block.X.shape[1]))
        matrix: Any = block.X if straight else block.X[:, self.places]
        if sp.issparse(matrix):
            matrix = sp.csr_matrix(matrix, dtype=float)
        else:
            matrix = np.ascontiguousarray(matrix, float)
        if self.codes:
            matrix = matrix.toarray() if sp.issparse(matrix) else matrix.copy()
            for feature, codes in self.codes.items():
                held = ~np.isnan(matrix[:, feature])
                matrix[held, feature] = codes[matrix[held, feature].astype(np.intp)]
        y = block.y if self.classes is None else self.classes[block.y]
        return replace(block, X=matrix, y=y)


def _starts(schema: FeatureSchema) -> dict[str, int]:
    """Return the position of each column's first feature in the matrix."""
    starts, at = {}, 0
    for column in schema.columns:
        starts[column.name] = at
        at += column.size
    return starts


def _classes(own: FederatedSchema, agreed: FederatedSchema) -> npt.NDArray[np.int32] | None:
    if own.label.is_regression != agreed.label.is_regression:
        raise _misfit("a label of another kind")
    if own.label.classes == agreed.label.classes:
        return None
    place = {value: i for i, value in enumerate(agreed.label.classes)}
    if stray := [c for c in own.label.classes if c not in place]:
        raise _misfit(f"the class {stray[0]!r} of the label {own.label.column!r}")
    return np.array([place[c] for c in own.label.classes], np.int32)


def _misfit(what: str) -> DataError:
    return DataError(
        "silos_differ",
        f"The silo does not fit the agreed schema: it has {what}.",
        "Was its data changed after the silos agreed? Start the federation again.",
    )
