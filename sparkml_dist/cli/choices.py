"""Names that options of the jobs may take, apart from what they name: for a quick ``--help``."""

from __future__ import annotations

__all__ = [
    "BASKET_FORMATS",
    "CLUSTER_METHODS",
    "DISTANCE_MEASURES",
    "ENSEMBLE_METHODS",
    "OUTLIER_METHODS",
    "SAMPLERS",
    "SCHEDULERS",
]

BASKET_FORMATS = ("dat", "csv", "parquet", "libsvm")
CLUSTER_METHODS = ("dbscan", "kmeans", "minibatch-kmeans", "kmedoids")
DISTANCE_MEASURES = ("euclidean", "manhattan", "cosine")
ENSEMBLE_METHODS = ("best", "greedy", "stacked")  # of the selection of algorithms
OUTLIER_METHODS = (
    "isolation-forest",
    "extended",
    "extended-isolation-forest",  # a longer name of the same method
    "lof",
    "robust-z",
)
SAMPLERS = ("tpe", "random", "cmaes", "grid", "gp")
SCHEDULERS = ("asha", "hyperband", "halving", "median", "none")
