"""Data mining on data that exceeds the memory of any one machine."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparkml_dist.mining.clusters.centers_model import CentersModel
    from sparkml_dist.mining.clusters.dbscan import DBSCAN
    from sparkml_dist.mining.clusters.dbscan_model import DBSCANModel
    from sparkml_dist.mining.clusters.kmeans import KMeans
    from sparkml_dist.mining.clusters.kmedoids import KMedoids
    from sparkml_dist.mining.clusters.mini_batch_kmeans import MiniBatchKMeans
    from sparkml_dist.mining.clusters.silhouettes import silhouette
    from sparkml_dist.mining.itemsets.baskets import read_baskets
    from sparkml_dist.mining.itemsets.frequent_itemsets import FrequentItemsets
    from sparkml_dist.mining.itemsets.itemsets_model import FrequentItemsetsModel
    from sparkml_dist.mining.neighbors.nearest_neighbors import NearestNeighbors
    from sparkml_dist.mining.neighbors.neighbors_model import NearestNeighborsModel
    from sparkml_dist.mining.neighbors.similar_pairs import similar_pairs
    from sparkml_dist.mining.outliers.isolation_forest import IsolationForest
    from sparkml_dist.mining.outliers.isolation_model import IsolationForestModel
    from sparkml_dist.mining.outliers.local_outlier_factor import LocalOutlierFactor
    from sparkml_dist.mining.outliers.lof_model import LocalOutlierFactorModel
    from sparkml_dist.mining.outliers.robust_zscore import RobustZScore
    from sparkml_dist.mining.outliers.robust_zscore_model import RobustZScoreModel
    from sparkml_dist.mining.profiling.drift import DriftReport, drift
    from sparkml_dist.mining.profiling.profile import Profile, profile
    from sparkml_dist.mining.rules.association_rules import AssociationRules
    from sparkml_dist.mining.rules.rules_model import AssociationRulesModel
    from sparkml_dist.mining.sequences.event_sequences import event_sequences
    from sparkml_dist.mining.sequences.patterns_model import SequentialPatternsModel
    from sparkml_dist.mining.sequences.sequential_patterns import SequentialPatterns
    from sparkml_dist.mining.sequences.windowed_baskets import windowed_baskets

_HOMES = {
    "AssociationRules": "rules.association_rules",
    "AssociationRulesModel": "rules.rules_model",
    "CentersModel": "clusters.centers_model",
    "DBSCAN": "clusters.dbscan",
    "DBSCANModel": "clusters.dbscan_model",
    "DriftReport": "profiling.drift",
    "FrequentItemsets": "itemsets.frequent_itemsets",
    "FrequentItemsetsModel": "itemsets.itemsets_model",
    "IsolationForest": "outliers.isolation_forest",
    "IsolationForestModel": "outliers.isolation_model",
    "KMeans": "clusters.kmeans",
    "KMedoids": "clusters.kmedoids",
    "LocalOutlierFactor": "outliers.local_outlier_factor",
    "LocalOutlierFactorModel": "outliers.lof_model",
    "MiniBatchKMeans": "clusters.mini_batch_kmeans",
    "NearestNeighbors": "neighbors.nearest_neighbors",
    "NearestNeighborsModel": "neighbors.neighbors_model",
    "Profile": "profiling.profile",
    "RobustZScore": "outliers.robust_zscore",
    "RobustZScoreModel": "outliers.robust_zscore_model",
    "SequentialPatterns": "sequences.sequential_patterns",
    "SequentialPatternsModel": "sequences.patterns_model",
    "drift": "profiling.drift",
    "event_sequences": "sequences.event_sequences",
    "profile": "profiling.profile",
    "read_baskets": "itemsets.baskets",
    "silhouette": "clusters.silhouettes",
    "similar_pairs": "neighbors.similar_pairs",
    "windowed_baskets": "sequences.windowed_baskets",
}

__all__ = [
    "DBSCAN",
    "AssociationRules",
    "AssociationRulesModel",
    "CentersModel",
    "DBSCANModel",
    "DriftReport",
    "FrequentItemsets",
    "FrequentItemsetsModel",
    "IsolationForest",
    "IsolationForestModel",
    "KMeans",
    "KMedoids",
    "LocalOutlierFactor",
    "LocalOutlierFactorModel",
    "MiniBatchKMeans",
    "NearestNeighbors",
    "NearestNeighborsModel",
    "Profile",
    "RobustZScore",
    "RobustZScoreModel",
    "SequentialPatterns",
    "SequentialPatternsModel",
    "drift",
    "event_sequences",
    "profile",
    "read_baskets",
    "silhouette",
    "similar_pairs",
    "windowed_baskets",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(import_module(f"sparkml_dist.mining.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'sparkml_dist.mining' has no attribute {name!r}")
