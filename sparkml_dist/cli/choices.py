"""Names that options of the jobs may take, apart from what they name: for a quick ``--help``."""

from __future__ import annotations

__all__ = [
    "BASKET_FORMATS",
    "CENTER_METHODS",
    "CLUSTER_METHODS",
    "CORRECTIONS",
    "DISTANCE_MEASURES",
    "ENSEMBLE_METHODS",
    "ESTIMATES",
    "GRAPH_SCORES",
    "INDEPENDENCE_TESTS",
    "KERNELS",
    "KERNEL_SOLVERS",
    "OUTLIER_METHODS",
    "POLICY_ALGORITHMS",
    "SAMPLERS",
    "SCHEDULERS",
    "STRUCTURES",
]

BASKET_FORMATS = ("dat", "csv", "parquet", "libsvm")
CENTER_METHODS = ("uniform", "kmeans++", "leverage")
CLUSTER_METHODS = ("dbscan", "kmeans", "minibatch-kmeans", "kmedoids")
CORRECTIONS = ("none", "benjamini-hochberg")
DISTANCE_MEASURES = ("euclidean", "manhattan", "cosine")
ENSEMBLE_METHODS = ("best", "greedy", "stacked")  # of the selection of algorithms
GRAPH_SCORES = ("bic", "aic", "bdeu", "k2", "loglik")
INDEPENDENCE_TESTS = ("x2", "g2", "mi")
KERNELS = ("rbf", "laplacian", "matern", "arccos")
KERNEL_SOLVERS = ("auto", "direct", "cg")
OUTLIER_METHODS = (
    "isolation-forest",
    "extended",
    "extended-isolation-forest",  # a longer name of the same method
    "lof",
    "robust-z",
)
SAMPLERS = ("tpe", "random", "cmaes", "grid", "gp")
SCHEDULERS = ("asha", "hyperband", "halving", "median", "none")
STRUCTURES = ("chow-liu", "naive-bayes", "tan", "hill-climbing", "pc", "exact", "fixed")

#: Algorithms of the job that learns a policy.
POLICY_ALGORITHMS = (
    *("batch-q", "q-learning", "sarsa", "expected-sarsa", "double-q"),
    *("fitted-q", "dqn", "cql", "bcq", "iql", "td3bc", "bc"),
    *("bandit-dr", "bandit-ips", "bandit-dm", "linucb", "thompson"),
)

#: Estimates of a policy's value.
ESTIMATES = ("fqe", "dm", "is", "wis", "pdis", "wpdis", "clipped", "dr", "wdr", "mis")
