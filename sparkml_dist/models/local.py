"""Models as scikit-learn estimators that predict in one process, without Spark."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from sparkml_dist.dataset.labels import Label
from sparkml_dist.dataset.schema import FeatureSchema
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.models.local_features import feature_blocks
from sparkml_dist.models.scoring import Predict, Scorer

__all__ = ["LocalClassifier", "LocalRegressor"]


class _Local(BaseEstimator):
    """Common base of `LocalClassifier` and `LocalRegressor`."""

    def __init__(self, scorer: Scorer, schema: FeatureSchema, label: Label) -> None:
        self._scorer = scorer
        self._schema = schema
        self._label = label
        self._predict: Predict | None = scorer.load()

    @property
    def n_features_in_(self) -> int:
        """Number of encoded features."""
        return self._schema.n_features

    @property
    def feature_names_in_(self) -> npt.NDArray[Any]:
        """Name of each encoded feature, shape (n_features_in_,)."""
        return np.asarray(self._schema.feature_names, dtype=object)

    @property
    def columns_in_(self) -> list[str]:
        """Columns that a DataFrame must have."""
        return [c.name for c in self._schema.columns]

    def fit(self, X: Any, y: Any = None) -> Any:
        """Raise an error: the model is fitted already, on shards.

        Raises
        ------
        ConfigurationError
            ``already_fitted``.
        """
        raise ConfigurationError(
            "already_fitted",
            f"{type(self).__name__} is a fitted model, which cannot be fitted again.",
            "Wrap it in sklearn.frozen.FrozenEstimator where scikit-learn calls fit, or fit the "
            "original estimator on Spark.",
        )

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return no parameters: the model is fitted."""
        return {}

    def _outputs(self, X: Any) -> npt.NDArray[Any]:
        if self._predict is None:
            self._predict = self._scorer.load()
        parts = [np.asarray(self._predict(block)) for block in feature_blocks(X, self._schema)]
        if not parts:
            classes = len(self._label.classes)
            return np.zeros((0, classes) if classes else 0)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def __getstate__(self) -> dict[str, Any]:
        # Members are read from the model's folder again: they may be too large for a pickle.
        return {**super().__getstate__(), "_predict": None}

    def __sklearn_clone__(self) -> Any:
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        return tags


class LocalClassifier(ClassifierMixin, _Local):
    """A fitted classifier that predicts in this process, like those of scikit-learn.

    Returned by ``model.to_sklearn()``. Takes a pandas DataFrame with the columns of the training
    data, or a matrix of encoded features. It cannot be fitted again: `fit` raises an error, and
    `sklearn.base.clone` returns the object itself, as for `sklearn.frozen.FrozenEstimator`. A
    pickle holds the location of the model's files, not their content; they are checked when read.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class values themselves, in the order of `predict_proba`.
    n_features_in_ : int
        Number of encoded features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names; those of an array column are ``name[0]``, ``name[1]``, …
    columns_in_ : list of str
        Columns that a DataFrame must have.

    Examples
    --------
    >>> local = model.to_sklearn()
    >>> local.predict_proba(iris.toPandas().head(2)).shape
    (2, 3)
    """

    @property
    def classes_(self) -> npt.NDArray[Any]:
        """The class values, shape (n_classes,)."""
        return np.asarray(self._label.classes)

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:
        """Return class probabilities.

        Parameters
        ----------
        X : pandas.DataFrame, array-like or sparse matrix, n rows

        Returns
        -------
        ndarray of float64, shape (n, n_classes)
        """
        proba = np.asarray(self._outputs(X), dtype=np.float64)
        # Sums of float32 differ from 1 by more than scikit-learn's metrics accept.
        return proba / proba.sum(axis=1, keepdims=True)

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Return the most probable class of each row, shape (n,).

        Parameters
        ----------
        X : pandas.DataFrame, array-like or sparse matrix, n rows
        """
        # As in `transform`: between probabilities that are equal in float32, the first class wins.
        best = self._outputs(X).astype(np.float32).argmax(axis=1)
        return np.asarray(self.classes_[best])

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:  # noqa: N803 - scikit-learn's
        return (
            f"LocalClassifier({len(self._label.classes)} classes, {self.n_features_in_} features)"
        )


class LocalRegressor(RegressorMixin, _Local):
    """A fitted regressor that predicts in this process; see `LocalClassifier`."""

    def predict(self, X: Any) -> npt.NDArray[np.float64]:
        """Return the prediction of each row, shape (n,).

        Parameters
        ----------
        X : pandas.DataFrame, array-like or sparse matrix, n rows
        """
        return np.asarray(self._outputs(X), dtype=np.float64)

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:  # noqa: N803 - scikit-learn's
        return f"LocalRegressor({self._label.column!r}, {self.n_features_in_} features)"
