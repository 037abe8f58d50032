"""States as rows of a linear model: a cell for each state of a list, or the features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from sparkml_dist.dataset.schema import FeatureSchema
from sparkml_dist.reinforcement.flat_rows import flat_rows

__all__ = ["ListedStates", "StateBasis", "StateFeatures"]

Floats = npt.NDArray[np.float64]


class StateBasis(Protocol):
    """Functions of a state, of which values are linear combinations.

    Attributes
    ----------
    width : int
        Number of functions.
    """

    @property
    def width(self) -> int:
        """Number of functions."""
        ...

    def values(self, states: Floats, coefficients: Floats) -> Floats:
        """Return ``functions(states) @ coefficients``, shape (n, k), for those of (width, k)."""
        ...


@dataclass(frozen=True)
class ListedStates:
    """A list of states: values are a table.

    Attributes
    ----------
    states : ndarray, shape (n_states, n_state)
        Sorted in the order of `numpy.unique`.
    """

    states: Floats

    @classmethod
    def of(cls, states: npt.ArrayLike) -> ListedStates:
        """Return the list of the different states among rows."""
        rows = np.asarray(states, float)
        return cls(np.unique(flat_rows(rows), axis=0))

    @property
    def width(self) -> int:
        """Number of states."""
        return len(self.states)

    def index(self, states: Floats) -> npt.NDArray[np.int64]:
        """Return the position of each state in the list, shape (n,); -1 for one not listed."""
        listed, wanted = _as_cells(self.states), _as_cells(states)
        order = np.argsort(listed, kind="stable")
        at = order[np.searchsorted(listed, wanted, sorter=order).clip(max=len(listed) - 1)]
        return np.where(listed[at] == wanted, at, -1)

    def values(self, states: Floats, coefficients: Floats) -> Floats:
        """Return rows of a table; zeros for states that are not listed."""
        at = self.index(states)
        return np.where(at[:, None] < 0, 0.0, coefficients[at])


@dataclass(frozen=True)
class StateFeatures:
    """A constant and the features of the state, with their squares and products if `degree` is 2.

    Attributes
    ----------
    n_state : int
    degree : int
    categories : tuple of int
        Number of categories of each feature, 0 for numbers; empty where all are numbers. Instead of
        its code, a category has an indicator of each but the first.
    """

    n_state: int
    degree: int = 1
    categories: tuple[int, ...] = ()

    @classmethod
    def of(cls, schema: FeatureSchema, degree: int = 1) -> StateFeatures:
        """Return the functions of the states of a log."""
        counts = tuple(schema.category_counts())
        return cls(schema.n_features, degree, counts if any(counts) else ())

    @property
    def width(self) -> int:
        """Number of functions."""
        n = sum(max(1, k - 1) if k else 1 for k in self.categories or (0,) * self.n_state)
        return 1 + n + (n * (n + 1) // 2 if self.degree > 1 else 0)

    def functions(self, states: Floats) -> Floats:
        """Return the functions of states, shape (n, width); a feature that is not known is 0."""
        known = np.nan_to_num(states, nan=0.0)
        if self.categories:
            columns = zip(known.T, self.categories, strict=True)
            known = np.column_stack(
                [c[:, None] == np.arange(1, k) if k > 2 else c for c, k in columns]
            ).astype(float)
        parts = [np.ones((len(known), 1)), known]
        if self.degree > 1:
            i, j = np.triu_indices(known.shape[1])
            parts.append(known[:, i] * known[:, j])
        return np.hstack(parts)

    def values(self, states: Floats, coefficients: Floats) -> Floats:
        """Return a linear combination of the functions."""
        return self.functions(states) @ coefficients


def _as_cells(states: Floats) -> npt.NDArray[np.void]:
    """Return each row as one comparable value; 0.0 and -0.0 are the same."""
    rows = np.ascontiguousarray(states + 0.0)
    return rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
