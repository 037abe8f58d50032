"""Calls the compiled code of scikit-learn's fitted trees and forests directly.

Through ``predict_proba``, scikit-learn validates the whole block again for each member: type,
finiteness, the learner's tags. For blocks of 4,096 rows, as read from Parquet, that is a third of
the time of a tree of depth 12.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["compiled_trees", "direct"]

_TREES = ("DecisionTree", "ExtraTree")
_FORESTS = ("RandomForest", "ExtraTrees")
_MODULES = ("sklearn.tree._classes", "sklearn.ensemble._forest")

Method = Callable[[npt.NDArray[np.float32]], npt.NDArray[Any]]


def direct(learner: Any, method: str, width: int) -> Method | None:
    """Return a function with the same output as a learner's method, to the bit, or None.

    Parameters
    ----------
    learner : fitted scikit-learn estimator
        Decision trees, extremely randomised trees and forests of either are supported; subclasses,
        whose methods may differ, are not.
    method : {"predict", "predict_proba", "decision_function"}
    width : int
        Number of features of the blocks. Compiled code does not check it; if it is not the
        learner's, the result is None and scikit-learn raises its own error.

    Returns
    -------
    callable or None
        Takes a dense float32 block (n, d) that was already checked for missing values.
    """
    form = _form(learner, width)
    if not form:
        return None
    classifies = hasattr(learner, "classes_")
    wanted = "predict_proba" if classifies else "predict"
    outputs = _tree(learner) if form == "tree" else _forest(learner)
    if method == wanted:
        return outputs
    if method == "predict" and classifies:
        classes = learner.classes_
        return lambda X: classes.take(np.argmax(outputs(X), axis=1), axis=0)
    return None


def compiled_trees(learner: Any, width: int) -> list[Any]:
    """Return scikit-learn's compiled trees of a learner that `direct` supports; else nothing.

    Parameters
    ----------
    learner : fitted scikit-learn estimator
    width : int
        Number of features of the blocks.
    """
    form = _form(learner, width)
    members = [learner] if form == "tree" else learner.estimators_ if form == "forest" else []
    return [member.tree_ for member in members]


def _form(learner: Any, width: int) -> str:
    """Return ``"tree"`` or ``"forest"``, or nothing for what is not supported."""
    kind = type(learner)
    if kind.__module__ not in _MODULES or getattr(learner, "n_outputs_", 1) != 1:
        return ""
    if learner.n_features_in_ != width:
        return ""
    for form, names in (("tree", _TREES), ("forest", _FORESTS)):
        if kind.__name__ in {f"{n}{k}" for n in names for k in ("Classifier", "Regressor")}:
            return form
    return ""


def _tree(learner: Any) -> Method:
    tree = learner.tree_
    if hasattr(learner, "classes_"):
        width = int(learner.n_classes_)
        return lambda X: tree.predict(X)[:, :width]
    return lambda X: tree.predict(X)[:, 0]


def _forest(learner: Any) -> Method:
    trees = [_tree(member) for member in learner.estimators_]
    shape = (int(learner.n_classes_),) if hasattr(learner, "classes_") else ()

    def outputs(X: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        total = np.zeros((len(X), *shape))
        for tree in trees:  # in scikit-learn's order, on which the rounding of the sum depends
            total += tree(X)
        total /= len(trees)
        return total

    return outputs
