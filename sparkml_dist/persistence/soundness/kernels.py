"""Support vector machines: arrays that compiled code takes for as large as each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

__all__ = ["check_support_vectors"]

_CLASSIFIES = ("c_svc", "nu_svc")


def check_support_vectors(learner: Any) -> None:
    """Raise unless the arrays of a learner of libsvm's fit each other.

    Parameters
    ----------
    learner : SVC, NuSVC, SVR, NuSVR or OneClassSVM

    Raises
    ------
    ValueError
    """
    fitted = learner.__dict__
    if "support_vectors_" not in fitted:
        return
    sparse = bool(fitted["_sparse"])
    support, counts = np.asarray(fitted["support_"]), np.asarray(fitted["_n_support"])
    vectors, weights, shape = (
        fitted["support_vectors_"],
        fitted["_dual_coef_"],
        fitted["shape_fit_"],
    )
    if sp.issparse(vectors) is not sparse or sp.issparse(weights) is not sparse:
        raise ValueError("its support vectors are of another form than it says")
    n, classes = len(support), len(counts)
    pairs = classes * (classes - 1) // 2
    if support.ndim != 1 or counts.ndim != 1 or classes < 2 or len(shape) != 2:
        raise ValueError("its support vectors are not counted")
    if n and (support.min() < 0 or support.max() >= shape[0]):
        raise ValueError("a support vector is a row that there was not")
    precomputed = learner.kernel == "precomputed" or callable(learner.kernel)
    width = shape[1] if not precomputed else vectors.shape[1]
    if not precomputed and width != fitted.get("n_features_in_"):
        raise ValueError("its support vectors have other features than it says")
    # A kernel that is computed beforehand needs their numbers only.
    if not (precomputed and not vectors.shape[0]) and vectors.shape != (n, width):
        raise ValueError("it has other support vectors than it says")
    if weights.shape != (classes - 1, n) or (sparse and weights.nnz != weights.shape[0] * n):
        raise ValueError("it has other weights than support vectors")
    if (counts < 0).any():
        raise ValueError("its support vectors are not counted")
    if learner._impl in _CLASSIFIES and counts.sum() != n:
        raise ValueError("it counts other support vectors than it has")
    if np.asarray(fitted["_intercept_"]).shape != (pairs,):
        raise ValueError("it has other intercepts than pairs of classes")
    for name in ("_probA", "_probB"):
        if np.asarray(fitted[name]).size not in (0, pairs):
            raise ValueError("it has other probabilities than pairs of classes")
