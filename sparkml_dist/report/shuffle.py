"""One feature of a block at a time, its values shuffled among the rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from sparkml_dist.dataset.schema import Matrix
from sparkml_dist.scoring import Predict

__all__ = ["Shuffle"]


class Shuffle:
    """Scores a block with the values of one feature shuffled, without copying the others.

    Parameters
    ----------
    X : ndarray, which is changed and restored, or csr_matrix, shape (n, n_features)
    model : callable
        From features to predictions.
    """

    def __init__(self, X: Matrix, model: Predict) -> None:
        self._X: Any = X
        self._columns: Any = sp.csc_matrix(X) if sp.issparse(X) else None
        self._model = model

    def is_constant(self, feature: int) -> bool:
        """Tell whether shuffling changes nothing."""
        if self._columns is not None:
            return bool(self._columns.indptr[feature] == self._columns.indptr[feature + 1])
        values = self._X[:, feature]
        return bool((values == values[0]).all() or np.isnan(values).all())

    def predict(self, feature: int, order: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Return what the model says when row i has the feature of row ``order[i]``."""
        if self._columns is None:
            values = self._X[:, feature].copy()
            self._X[:, feature] = values[order]
            try:
                return self._model(self._X)
            finally:
                self._X[:, feature] = values
        shuffled = self._columns.copy()
        part = slice(*shuffled.indptr[feature : feature + 2])
        rows = np.argsort(order)[shuffled.indices[part]]
        ascending = np.argsort(rows)
        shuffled.indices[part] = rows[ascending]
        shuffled.data[part] = shuffled.data[part][ascending]
        return self._model(sp.csr_matrix(shuffled))
