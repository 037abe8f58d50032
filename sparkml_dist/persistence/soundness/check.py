"""Checks a loaded learner before its first use."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from sparkml_dist.persistence.soundness.boosted_trees import check_histogram_boosting
from sparkml_dist.persistence.soundness.kernels import check_support_vectors
from sparkml_dist.persistence.soundness.neighbors import check_neighbors, check_space_tree
from sparkml_dist.persistence.soundness.trees import check_trees
from sparkml_dist.persistence.soundness.walk import parts_of

__all__ = ["check_learner"]

Check = Callable[[Any], None]


def check_learner(learner: Any) -> None:
    """Raise unless compiled code can safely use the indices in a learner.

    Python and numpy check bounds; compiled code in scikit-learn does not. So that a crafted file
    can neither crash the process nor read outside its arrays, all indices for such code are checked
    wherever they occur: in members of ensembles, steps of pipelines, results of searches. Paths of
    caches on a local disk are removed.

    Parameters
    ----------
    learner : object

    Raises
    ------
    Exception
        Of any type, when something is missing or does not match.
    """
    parts = list(parts_of(learner))
    trees: list[Any] = []
    widths: list[int] = []
    later: list[tuple[Check, Any]] = []
    for part in parts:
        found = getattr(part, "__dict__", None)
        if found is not None and "tree_" in found and _is_tree(found["tree_"]):
            trees.append(found["tree_"])
            widths.append(found["n_features_in_"])
        kind: Any = type(part)
        later += [(check, part) for check in _checks(kind)]
    if trees:
        check_trees(trees, widths)
    # Inner parts first: some checks call methods of the parts they hold.
    for check, part in reversed(later):
        check(part)


@lru_cache(maxsize=512)
def _checks(kind: Any) -> tuple[Check, ...]:
    """Return the checks for objects of a class."""
    names = {f"{base.__module__}.{base.__name__}" for base in kind.__mro__}
    return tuple(check for name, check in _BY_CLASS.items() if name in names)


def _is_tree(value: Any) -> bool:
    return type(value).__module__ == "sklearn.tree._tree" and type(value).__name__ == "Tree"


def _check_forest(forest: Any) -> None:
    """Raise unless a forest's trees take rows as wide as the forest's.

    The trees predict without checking the rows.
    """
    for tree in forest.__dict__.get("estimators_", ()):
        if tree.tree_.n_features != forest.n_features_in_:
            raise ValueError("a tree of a forest has another number of features than the forest")


def _check_isolation_forest(forest: Any) -> None:
    if "estimators_" not in forest.__dict__:
        return
    whole = forest._max_features == forest.n_features_in_
    for tree, features in zip(forest.estimators_, forest.estimators_features_, strict=True):
        width = forest.n_features_in_ if whole else len(features)
        if tree.tree_.n_features != width:
            raise ValueError("a tree of a forest has another number of features than the forest")


def _check_gradient_boosting(boosting: Any) -> None:
    """Raise unless each stage of a boosting has as many trees as a row has scores."""
    stages = boosting.__dict__.get("estimators_")
    if stages is None:
        return
    _check_forest_width(stages, boosting.n_features_in_)
    row = np.zeros((1, int(boosting.n_features_in_)), np.float32)
    if boosting._raw_predict_init(row).shape != (1, stages.shape[1]):
        raise ValueError("the trees of a stage do not match the scores of a row")


def _check_forest_width(stages: Any, n_features: int) -> None:
    if not isinstance(stages, np.ndarray) or stages.ndim != 2 or not stages.size:
        raise ValueError("its stages are not a 2-D array of trees")
    if any(tree.tree_.n_features != n_features for tree in stages.flat):
        raise ValueError("a tree of a stage has another number of features than the boosting")
    # Compiled code reads the first value of each node.
    if any(tree.tree_.n_outputs != 1 or tree.tree_.max_n_classes != 1 for tree in stages.flat):
        raise ValueError("a tree of a stage has more than one output")


def _check_centers(clusters: Any) -> None:
    centers = clusters.__dict__.get("cluster_centers_")
    if centers is not None and np.shape(centers)[1:] != (clusters.n_features_in_,):
        raise ValueError("its centres do not match its number of features")


def _check_bisected(clusters: Any) -> None:
    """Raise unless the centres of nested clusters are as wide as the rows."""
    _check_centers(clusters)
    seen: set[int] = set()
    stack = [clusters.__dict__.get("_bisecting_tree")]
    while stack:
        node = stack.pop()
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        # The root has no centre before it is split, and is never compared.
        if node.center is not None and np.shape(node.center) != (clusters.n_features_in_,):
            raise ValueError("its centres do not match its number of features")
        stack += [node.left, node.right]


def _check_spline(spline: Any) -> None:
    knots, weights, degree = np.asarray(spline.t), np.asarray(spline.c), spline.k
    if knots.ndim != 1 or not weights.ndim or type(degree) is not int or degree < 0:
        raise ValueError("a spline has invalid knots, weights or degree")
    count = len(knots) - degree - 1
    if count < degree + 1 or len(weights) < count or not np.isfinite(knots).all():
        raise ValueError("the knots of a spline do not match its weights")
    if (np.diff(knots) < 0).any() or not knots[degree] < knots[count]:
        raise ValueError("the knots of a spline are not sorted")


def _check_sparse(matrix: Any) -> None:
    """Raise unless the indices of a sparse matrix are within its shape.

    scipy's own check subtracts 32-bit numbers, which overflow for a crafted matrix.
    """
    if matrix.format == "coo":
        bounds = list(zip(matrix.coords, matrix.shape, strict=True))
    elif matrix.format in ("csr", "csc", "bsr"):
        matrix.check_format(full_check=False)
        begin = matrix.indptr
        if (begin[1:] < begin[:-1]).any() or begin[0] != 0 or begin[-1] > len(matrix.indices):
            raise ValueError("the row pointers of a sparse matrix are invalid")
        minor = matrix.shape[0 if matrix.format == "csc" else 1]
        width = matrix.blocksize[1] if matrix.format == "bsr" else 1
        bounds = [(matrix.indices, minor // width)]
    else:
        raise ValueError(f"a sparse matrix has the format {matrix.format}")
    for indices, size in bounds:
        if len(indices) and (indices.min() < 0 or indices.max() >= size):
            raise ValueError("a sparse matrix has an index outside its shape")


def _check_generator(generator: Any) -> None:
    """Raise unless the position of a random generator is within its state."""
    if hasattr(generator, "bit_generator"):
        state = generator.bit_generator.state
    else:
        state = generator.get_state(legacy=False)
    inner = state.get("state", {})
    if not 0 <= inner.get("pos", 0) <= 624 or not 0 <= state.get("buffer_pos", 0) <= 4:
        raise ValueError("a random generator has an invalid position")


def _drop_cache(step: Any) -> None:
    """Drop the path of a cache: its content is not a part of the file."""
    if step.__dict__.get("memory") is not None:
        step.memory = None


def _check_text(reader: Any) -> None:
    if reader.__dict__.get("input", "content") != "content":
        raise ValueError("it reads files whose names come from the rows")


_BY_CLASS: dict[str, Check] = {
    "numpy.random._generator.Generator": _check_generator,
    "numpy.random.mtrand.RandomState": _check_generator,
    "scipy.interpolate._bsplines.BSpline": _check_spline,
    "scipy.sparse._base._spbase": _check_sparse,
    "sklearn.cluster._agglomerative.AgglomerativeClustering": _drop_cache,
    "sklearn.cluster._bisect_k_means.BisectingKMeans": _check_bisected,
    "sklearn.cluster._hdbscan.hdbscan.HDBSCAN": _drop_cache,
    "sklearn.cluster._kmeans._BaseKMeans": _check_centers,
    "sklearn.ensemble._forest.BaseForest": _check_forest,
    "sklearn.ensemble._gb.BaseGradientBoosting": _check_gradient_boosting,
    "sklearn.ensemble._hist_gradient_boosting.gradient_boosting.BaseHistGradientBoosting": (
        check_histogram_boosting
    ),
    "sklearn.ensemble._iforest.IsolationForest": _check_isolation_forest,
    "sklearn.feature_extraction.text._VectorizerMixin": _check_text,
    "sklearn.neighbors._ball_tree.BinaryTree64": check_space_tree,
    "sklearn.neighbors._base.NeighborsBase": check_neighbors,
    "sklearn.neighbors._kd_tree.BinaryTree64": check_space_tree,
    "sklearn.pipeline.Pipeline": _drop_cache,
    "sklearn.pipeline.FeatureUnion": _drop_cache,
    "sklearn.svm._base.BaseLibSVM": check_support_vectors,
}
