"""Fits a booster on arrays of codes, with categories and held-out rows as it takes them."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline

from sparkml_dist.dataset.hashing import uniform
from sparkml_dist.learners.boosters import (
    booster_package,
    last_step,
    stops_early,
    without_stopping,
)

__all__ = ["HELD_OUT_SHARE", "BoosterLearner"]

# Share of a bag's rows that decides when to stop, as in scikit-learn's histogram boosting.
HELD_OUT_SHARE = 0.1


class BoosterLearner(BaseEstimator):
    """Wraps a booster, or a pipeline that ends in one.

    - Categories reach the booster as categories: a missing one as missing, one that was never seen
      in training too.
    - A booster that is to stop early gets a tenth of the rows as its evaluation set, chosen by the
      hash of the row's key and the seed, so that a row drawn twice is on one side only. The last
      rows of a class stay in the training set. Where no row can be held out, it does not stop
      early.
    - Sparse and dense rows give the same predictions: XGBoost takes absent values of a sparse
      matrix for missing ones, and gets rows in the form that it was fitted on.
    - Predictions have shape (n,).

    Parameters
    ----------
    booster : estimator
        Of XGBoost, LightGBM or CatBoost, or a pipeline whose last step is one. Fitted in place.
    categorical : list of int, optional
        Positions of features with categories. Ignored for a pipeline.
    seed : int, default=0
        Seed of the draw of held-out rows.

    Attributes
    ----------
    held_out_ : int
        Number of held-out rows.
    sparse_ : bool
        Whether it was fitted on a sparse matrix.
    """

    def __init__(
        self, booster: Any, categorical: Sequence[int] | None = None, seed: int = 0
    ) -> None:
        self.booster = booster
        self.categorical = categorical
        self.seed = seed

    def fit(
        self,
        X: Any,
        y: npt.NDArray[Any],
        *,
        keys: npt.NDArray[np.int64] | None = None,
        **weights: npt.NDArray[Any],
    ) -> BoosterLearner:
        """Fit the booster.

        Parameters
        ----------
        X : ndarray, csr_matrix or DataFrame, shape (n, d)
        y : ndarray of shape (n,)
        keys : ndarray of int64, shape (n,), optional
            Row keys; rows' positions by default.
        **weights
            ``sample_weight``, or that of a pipeline's last step.
        """
        self.sparse_ = bool(sp.issparse(X))
        X = self._given(X)
        weight = next(iter(weights.values()), None)
        last = last_step(self.booster)
        if hasattr(last, "predict_proba"):
            self._fit_objective(last, len(np.unique(y)))
        aside = None
        if stops_early(last):
            aside = _held_out(y, keys, self.seed, hasattr(last, "predict_proba"))
            if aside is None:
                last.set_params(**without_stopping(last))
        self.held_out_ = 0 if aside is None else int(aside.sum())
        if aside is None:
            self.booster.fit(X, y, **weights, **self._categories(last))
            return self
        fitted, scored = np.flatnonzero(~aside), np.flatnonzero(aside)
        train, held = _rows(X, fitted), _rows(X, scored)
        learner = self.booster
        while isinstance(learner, Pipeline):
            if len(learner) > 1:
                train = learner[:-1].fit_transform(train, y[fitted])
                held = learner[:-1].transform(held)
            learner = learner.steps[-1][1]
        parts = [None if weight is None else weight[at] for at in (fitted, scored)]
        self._fit_stopping(last, (train, y[fitted], parts[0]), (held, y[scored], parts[1]))
        return self

    def _fit_stopping(self, last: Any, train: Any, held: Any) -> None:
        """Fit a booster on (X, y, weight), with an evaluation set of the same form."""
        (X, y, weight), (X_held, y_held, weight_held) = train, held
        package = booster_package(last)
        own = self._categories(last)
        if package == "catboost":
            from catboost import Pool

            features = own.get("cat_features")
            pool = Pool(X_held, y_held, weight=weight_held, cat_features=features)
            last.fit(X, y, sample_weight=weight, eval_set=pool, **own)
            return
        if weight is not None:
            own["sample_weight"] = weight
            own["sample_weight_eval_set" if package == "xgboost" else "eval_sample_weight"] = [
                weight_held
            ]
        if package == "xgboost":
            own["verbose"] = False
        if "eval_X" in signature(last.fit).parameters:  # the newer spelling of LightGBM
            own |= {"eval_X": X_held, "eval_y": y_held}
        else:
            own["eval_set"] = [(X_held, y_held)]
        last.fit(X, y, **own)

    def _fit_objective(self, last: Any, n_classes: int) -> None:
        """Replace an objective for several classes where the rows have two."""
        objective = getattr(last, "objective", None)
        if n_classes > 2 or not isinstance(objective, str):
            return
        package = booster_package(last)
        if package == "xgboost" and objective.startswith("multi:"):
            last.set_params(objective="binary:logistic")
        elif package == "lightgbm" and objective.startswith(("multi", "softmax", "ova")):
            last.set_params(objective="binary")

    def _categories(self, last: Any) -> dict[str, Any]:
        """Return the arguments of ``fit`` that name features with categories."""
        if not self.categorical or isinstance(self.booster, Pipeline):
            return {}
        names = {"lightgbm": "categorical_feature", "catboost": "cat_features"}
        name = names.get(str(booster_package(last)))
        return {} if name is None else {name: list(self.categorical)}

    def _given(self, X: Any) -> Any:
        """Return rows in the form that the booster takes."""
        if isinstance(self.booster, Pipeline):
            return X
        package = booster_package(self.booster)
        if package == "xgboost":
            if self.sparse_:
                X = X.copy() if sp.issparse(X) else sp.csr_matrix(X)
                X.eliminate_zeros()
            elif sp.issparse(X):
                X = X.toarray()
        elif package == "catboost" and self.categorical and not sp.issparse(X):
            X = _with_texts(X, self.categorical)
        return X

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Return class codes or numbers, shape (n,)."""
        found: npt.NDArray[Any] = np.asarray(self._call("predict", X)).reshape(-1)
        return found

    def predict_proba(self, X: Any) -> npt.NDArray[Any]:
        """Return probabilities in the order of ``classes_``, shape (n, n_classes)."""
        found: npt.NDArray[Any] = self._call("predict_proba", X)
        return found

    def _call(self, method: str, X: Any) -> Any:
        X = self._given(X)
        last = last_step(self.booster)
        if booster_package(last) == "catboost":
            # Its default is all cores, whatever it was fitted with.
            cores = last.get_params().get("thread_count", 1)
            return getattr(self.booster, method)(X, thread_count=cores)
        return getattr(self.booster, method)(X)

    @property
    def classes_(self) -> npt.NDArray[Any]:
        """Codes of the classes that the booster was fitted on."""
        found: npt.NDArray[Any] = np.asarray(self.booster.classes_)
        return found

    @property
    def n_features_in_(self) -> int:
        """Number of features."""
        return int(self.booster.n_features_in_)

    @property
    def feature_importances_(self) -> npt.NDArray[Any]:
        """The booster's importances."""
        found: npt.NDArray[Any] = self.booster.feature_importances_
        return found

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "held_out_")


def _rows(X: Any, at: npt.NDArray[np.int64]) -> Any:
    return X.iloc[at] if hasattr(X, "iloc") else X[at]


def _held_out(
    y: npt.NDArray[Any], keys: npt.NDArray[np.int64] | None, seed: int, classifies: bool
) -> npt.NDArray[np.bool_] | None:
    """Return which rows are held out, shape (n,); None if none can be."""
    keys = np.arange(len(y)) if keys is None else keys
    aside: npt.NDArray[np.bool_] = uniform(keys, seed, "early stopping") < HELD_OUT_SHARE
    if classifies:
        codes = np.unique(y, return_inverse=True)[1]
        lost = np.bincount(codes[~aside], minlength=codes.max() + 1) == 0
        aside &= ~lost[codes]
    return aside if aside.any() and not aside.all() else None


def _with_texts(X: Any, categorical: Sequence[int]) -> Any:
    """Return a data frame with categories as whole numbers, -1 for missing ones."""
    import pandas as pd

    frame = X if isinstance(X, pd.DataFrame) else pd.DataFrame(X, copy=False)
    columns = {name: frame[name] for name in frame.columns}
    for name in frame.columns[list(categorical)]:
        codes = np.asarray(frame[name], np.float64)
        columns[name] = np.where(np.isnan(codes), -1, codes).astype(np.int64)
    return pd.DataFrame(columns, copy=False)
