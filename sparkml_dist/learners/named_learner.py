"""Translates codes and arrays into class, column and category names for a learner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator

from sparkml_dist.learners.naming import with_present_ranks

__all__ = ["NamedLearner"]

_NEW = "(new category)"


class NamedLearner(BaseEstimator):
    """Wraps a learner that refers to classes or columns by name; see `KnownLearner`.

    Like any other learner it takes arrays and class codes.

    Parameters
    ----------
    learner : scikit-learn estimator
    by_class : bool, default=False
        Whether parameters of the learner name classes, by their codes. The learner then gets ranks
        among the classes present: meta-estimators encode classes as ranks themselves, and would mix
        up the weights of classes if a shard lacks one.
    names : list of str, optional
        Name of each feature; without names the learner gets arrays.
    texts : list of list of str, optional
        Categories of each feature, empty for numeric ones: the learner gets the categories
        themselves instead of codes. Codes beyond the list become one additional, new category.
    as_category : bool, default=False
        Whether these columns are pandas categories instead of strings.
    """

    def __init__(
        self,
        learner: Any,
        by_class: bool = False,
        names: list[str] | None = None,
        texts: list[list[str]] | None = None,
        as_category: bool = False,
    ) -> None:
        self.learner = learner
        self.by_class = by_class
        self.names = names
        self.texts = texts
        self.as_category = as_category

    def fit(self, X: Any, y: npt.NDArray[Any], **params: Any) -> NamedLearner:
        """Fit the learner; `y` holds class codes, or numbers.

        Parameters
        ----------
        X : ndarray of shape (n, d)
        y : ndarray of shape (n,)
        **params
            Passed to the learner's own ``fit``.
        """
        if self.by_class:
            self.present_, y = np.unique(y, return_inverse=True)
            self.learner = with_present_ranks(self.learner, self.present_.tolist())
        self.learner.fit(self._frame(X), y, **params)
        return self

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Return class codes, or numbers, shape (n,)."""
        return self._codes(self.learner.predict(self._frame(X)))

    def predict_proba(self, X: Any) -> npt.NDArray[Any]:
        """Return probabilities in the order of ``classes_``, shape (n, n_classes)."""
        found: npt.NDArray[Any] = self.learner.predict_proba(self._frame(X))
        return found

    def decision_function(self, X: Any) -> npt.NDArray[Any]:
        """Return the learner's decision function."""
        found: npt.NDArray[Any] = self.learner.decision_function(self._frame(X))
        return found

    @property
    def classes_(self) -> npt.NDArray[Any]:
        """Codes of the classes that the learner was fitted on."""
        return self._codes(np.asarray(self.learner.classes_))

    @property
    def feature_importances_(self) -> npt.NDArray[Any]:
        """The learner's importances."""
        found: npt.NDArray[Any] = self.learner.feature_importances_
        return found

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def _codes(self, found: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if not self.by_class:
            return found
        codes: npt.NDArray[Any] = self.present_[np.asarray(found).astype(np.int64)]
        return codes

    def _frame(self, X: Any) -> Any:
        if self.names is None:
            return X
        import pandas as pd

        frame = pd.DataFrame(X, columns=self.names, copy=False)
        texts: Sequence[list[str]] = self.texts or ()
        categories = {
            name: self._category_column(X[:, i], known)
            for i, (name, known) in enumerate(zip(self.names, texts, strict=False))
            if known
        }
        return frame.assign(**categories) if categories else frame

    def _category_column(self, codes: npt.NDArray[Any], known: list[str]) -> Any:
        """Return a column of categories; missing values stay missing."""
        import pandas as pd

        new = _NEW
        while new in known:
            new += "'"
        gone = np.isnan(codes)
        at = np.where(gone, -1, np.minimum(np.nan_to_num(codes), len(known))).astype(np.int64)
        if self.as_category:
            return pd.Categorical.from_codes(at, [*known, new])
        return np.array([*known, new, np.nan], dtype=object)[at]
