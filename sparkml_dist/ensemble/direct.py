"""Asks fitted trees and forests of scikit-learn for their outputs, without what surrounds them.

``predict_proba`` looks at the whole block again for each member: its type, its finiteness, the
learner's tags. Blocks that come from Parquet have 4,096 rows; on those, that is a third of the
time of a tree of depth 12.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["direct"]

_TREES = ("DecisionTree", "ExtraTree")
_FORESTS = ("RandomForest", "ExtraTrees")
_MODULES = ("sklearn.tree._classes", "sklearn.ensemble._forest")

Method = Callable[[npt.NDArray[np.float32]], npt.NDArray[Any]]


def direct(learner: Any, method: str, width: int) -> Method | None:
    """Return a function that gives what a learner's method does, to the bit, or None.

    Parameters
    ----------
    learner : fitted scikit-learn estimator
        Decision trees, extremely randomised trees and forests of either have one; subclasses,
        which may do something else, do not.
    method : {"predict", "predict_proba", "decision_function"}
    width : int
        Features of the blocks. Compiled code does not count them: where they are not those of the
        learner, it is scikit-learn that says so.

    Returns
    -------
    callable or None
        From a dense float32 block (n, d) whose missing values have been looked for.
    """
    kind = type(learner)
    if kind.__module__ not in _MODULES or getattr(learner, "n_outputs_", 1) != 1:
        return None
    if learner.n_features_in_ != width:
        return None
    name, classifies = kind.__name__, hasattr(learner, "classes_")
    wanted = "predict_proba" if classifies else "predict"
    if name in {f"{t}{k}" for t in _TREES for k in ("Classifier", "Regressor")}:
        outputs = _tree(learner)
    elif name in {f"{f}{k}" for f in _FORESTS for k in ("Classifier", "Regressor")}:
        outputs = _forest(learner)
    else:
        return None
    if method == wanted:
        return outputs
    if method == "predict" and classifies:
        classes = learner.classes_
        return lambda X: classes.take(np.argmax(outputs(X), axis=1), axis=0)
    return None


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
        for tree in trees:  # in scikit-learn's order: sums of floats depend on it
            total += tree(X)
        total /= len(trees)
        return total

    return outputs
