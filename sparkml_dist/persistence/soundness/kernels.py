"""Checks support vector machines, whose compiled code assumes matching array sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

__all__ = ["check_support_vectors"]

_CLASSIFIES = ("c_svc", "nu_svc")


def check_support_vectors(learner: Any) -> None:
    """Raise unless the arrays of a libsvm learner match.

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
        raise ValueError("its support vectors are sparse where it is dense, or the reverse")
    n, classes = len(support), len(counts)
    pairs = classes * (classes - 1) // 2
    if support.ndim != 1 or counts.ndim != 1 or classes < 2 or len(shape) != 2:
        raise ValueError("the counts of its support vectors are invalid")
    if n and (support.min() < 0 or support.max() >= shape[0]):
        raise ValueError("a support vector has an index beyond the training rows")
    precomputed = learner.kernel == "precomputed" or callable(learner.kernel)
    width = shape[1] if not precomputed else vectors.shape[1]
    if not precomputed and width != fitted.get("n_features_in_"):
        raise ValueError("its support vectors do not match its number of features")
    # A precomputed kernel needs only their indices.
    if not (precomputed and not vectors.shape[0]) and vectors.shape != (n, width):
        raise ValueError("its support vectors do not match their indices")
    if weights.shape != (classes - 1, n) or (sparse and weights.nnz != weights.shape[0] * n):
        raise ValueError("its weights do not match its support vectors")
    if (counts < 0).any():
        raise ValueError("the counts of its support vectors are invalid")
    if learner._impl in _CLASSIFIES and counts.sum() != n:
        raise ValueError("the counts of its support vectors do not add up")
    if np.asarray(fitted["_intercept_"]).shape != (pairs,):
        raise ValueError("its intercepts do not match its pairs of classes")
    for name in ("_probA", "_probB"):
        if np.asarray(fitted[name]).size not in (0, pairs):
            raise ValueError("its probabilities do not match its pairs of classes")
