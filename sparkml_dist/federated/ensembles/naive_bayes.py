"""Naive Bayes from sums over silos, equal to scikit-learn's on all rows in one place."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.federated.ensembles.blocks import row_weights, without_missing
from sparkml_dist.federated.work import Answer, Declaration, SiloWork

if TYPE_CHECKING:
    from sparkml_dist.federated.federation import Federation
    from sparkml_dist.federated.message import Message
    from sparkml_dist.federated.schema import FederatedSchema
    from sparkml_dist.federated.silo import Silo

__all__ = ["CategoryCountsWork", "ClassMomentsWork", "federated_naive_bayes"]

_RANGES = {"weight": 1e9, "sums": 1e12, "squares": 1e12, "counts": 1e9}


class ClassMomentsWork(SiloWork):
    """Adds up the features of each class, or their squared distances from given means.

    The request's array ``means``, shape (n_classes + 1, n_features), holds the means of the classes
    and of all rows; it is absent in the first round. The answer has ``weight`` (n_classes,), and
    ``sums`` (n_classes, n_features) or ``squares`` (n_classes + 1, n_features).
    """

    kind: ClassVar[str] = "class_moments"
    summable: ClassVar[bool] = True

    def declare(self, request: Message, schema: FederatedSchema) -> Declaration:
        """Return the shape of the sums."""
        classes, width = schema.n_classes, schema.n_features
        if "means" in request.arrays:
            return Declaration({"squares": ("f8", (classes + 1, width))})
        return Declaration({"weight": ("f8", (classes,)), "sums": ("f8", (classes, width))})

    def answer(self, silo: Silo, request: Message) -> Answer:
        """Add up the silo's rows."""
        classes, width = silo.schema.n_classes, silo.schema.n_features
        means = request.arrays.get("means")
        weights, sums = np.zeros(classes), np.zeros((classes, width))
        squares = np.zeros((classes + 1, width))
        for block in silo.blocks():
            X, w = without_missing(block.X, "naive Bayes"), row_weights(block)
            if means is not None:
                squares[-1] += w @ (X - means[-1]) ** 2
            for code in np.unique(block.y):
                own = block.y == code
                if means is None:
                    weights[code] += w[own].sum()
                    sums[code] += w[own] @ X[own]
                else:
                    squares[code] += w[own] @ (X[own] - means[code]) ** 2
        if means is None:
            return Answer(arrays={"weight": weights, "sums": sums})
        return Answer(arrays={"squares": squares})


class CategoryCountsWork(SiloWork):
    """Counts each category of each feature in each class.

    The answer has ``weight`` (n_classes,) and ``counts``, shape (n_classes, n_categories of all
    features).
    """

    kind: ClassVar[str] = "category_counts"
    summable: ClassVar[bool] = True

    def declare(self, request: Message, schema: FederatedSchema) -> Declaration:
        """Return the shape of the counts."""
        total = sum(schema.features.category_counts())
        return Declaration(
            {"weight": ("f8", (schema.n_classes,)), "counts": ("f8", (schema.n_classes, total))}
        )

    def answer(self, silo: Silo, request: Message) -> Answer:
        """Count the silo's rows."""
        sizes = silo.schema.features.category_counts()
        start = np.cumsum([0, *sizes])
        classes = silo.schema.n_classes
        weights, counts = np.zeros(classes), np.zeros((classes, int(start[-1])))
        for block in silo.blocks():
            X, w = without_missing(block.X, "naive Bayes"), row_weights(block)
            weights += np.bincount(block.y, w, minlength=classes)
            for feature in range(X.shape[1]):
                at = X[:, feature].astype(np.int64) + start[feature]
                np.add.at(counts, (block.y, at), w)
        return Answer(arrays={"weight": weights, "counts": counts})


def federated_naive_bayes(
    federation: Federation,
    *,
    var_smoothing: float = 1e-9,
    alpha: float = 1.0,
    minimum: int = 1,
    secure: Any = None,
) -> Any:
    """Return the naive Bayes classifier of all silos' rows.

    Gaussian where all features are numbers (two rounds), categorical where all are categories (one
    round). The same classifier as scikit-learn's on all rows, up to rounding.

    Parameters
    ----------
    federation : Federation
    var_smoothing : float, default=1e-9
        Share of the largest variance of a feature that is added to all variances.
    alpha : float, default=1.0
        Added to each count of a category.
    minimum : int, default=1
        Silos that must answer.
    secure : SecureSum, optional

    Returns
    -------
    sklearn.naive_bayes.GaussianNB or CategoricalNB
        Its classes are codes.

    Raises
    ------
    ConfigurationError
        ``invalid_param`` where some features are numbers and others categories.
    DataError
        ``no_training_rows``.
    """
    sizes = federation.schema.features.category_counts()
    asking = {"minimum": minimum, "secure": secure, "ranges": _RANGES}
    if all(sizes):
        summed = federation.sum("category_counts", **asking).arrays
        return _categorical(summed["weight"], summed["counts"], sizes, alpha)
    if any(sizes):
        raise ConfigurationError(
            "invalid_param",
            "Naive Bayes takes either numbers or categories, and the silos have both.",
            "Choose the columns (featuresCols), or declare none or all of them as categories "
            "(categoricalCols).",
        )
    summed = federation.sum("class_moments", **asking).arrays
    weight, total = summed["weight"], summed["weight"].sum()
    _check_rows(total)
    with np.errstate(invalid="ignore"):
        means = np.where(weight[:, None] > 0, summed["sums"] / weight[:, None], 0.0)
    whole = np.vstack([means, summed["sums"].sum(axis=0) / total])
    squares = federation.sum("class_moments", arrays={"means": whole}, **asking).arrays["squares"]
    return _gaussian(weight, means, squares, var_smoothing)


def _check_rows(total: float) -> None:
    if not total > 0:
        raise DataError("no_training_rows", "The silos have no rows with a weight above 0.")


def _gaussian(
    weight: npt.NDArray[np.float64],
    means: npt.NDArray[np.float64],
    squares: npt.NDArray[np.float64],
    smoothing: float,
) -> Any:
    from sklearn.naive_bayes import GaussianNB

    seen = np.flatnonzero(weight > 0)
    fitted = GaussianNB(var_smoothing=smoothing)
    fitted.epsilon_ = smoothing * float((squares[-1] / weight.sum()).max())
    fitted.classes_ = seen
    fitted.class_count_ = weight[seen]
    fitted.class_prior_ = weight[seen] / weight.sum()
    fitted.theta_ = means[seen]
    fitted.var_ = squares[seen] / weight[seen, None] + fitted.epsilon_
    fitted.n_features_in_ = means.shape[1]
    return fitted


def _categorical(
    weight: npt.NDArray[np.float64],
    counts: npt.NDArray[np.float64],
    sizes: list[int],
    alpha: float,
) -> Any:
    from sklearn.naive_bayes import CategoricalNB

    _check_rows(float(weight.sum()))
    seen = np.flatnonzero(weight > 0)
    start = np.cumsum([0, *sizes])
    fitted = CategoricalNB(alpha=alpha, min_categories=sizes)
    fitted.classes_ = seen
    fitted.class_count_ = weight[seen]
    fitted.class_log_prior_ = np.log(weight[seen] / weight.sum())
    fitted.category_count_ = [counts[seen, a:b] for a, b in pairwise(start)]
    fitted.feature_log_prob_ = [
        np.log(own + alpha) - np.log((own + alpha).sum(axis=1, keepdims=True))
        for own in fitted.category_count_
    ]
    fitted.n_categories_ = np.array(sizes)
    fitted.n_features_in_ = len(sizes)
    return fitted
