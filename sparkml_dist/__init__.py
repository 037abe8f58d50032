"""Ensembles of any learner, data mining and Horovod-trained deep networks on Spark.

The public names are imported on first use, so that ``import sparkml_dist`` is fast and never
imports TensorFlow or Horovod.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sparkml_dist.cluster.worker_gc import in_spark_worker, keep_collections_short
from sparkml_dist.public_names import PUBLIC_NAMES, public_object
from sparkml_dist.version import __version__

if in_spark_worker():
    keep_collections_short()

if TYPE_CHECKING:
    from sparkml_dist.automl import (
        AutoClassificationModel,
        AutoClassifier,
        AutoRegressionModel,
        AutoRegressor,
        TableFeatures,
        TableFeaturesModel,
    )
    from sparkml_dist.boosting import (
        XGBoostClassificationModel,
        XGBoostClassifier,
        XGBoostRegressionModel,
        XGBoostRegressor,
    )
    from sparkml_dist.dataset import (
        Block,
        PartitionedDataset,
        adopt,
        folds,
        holdout,
        open_partitioned,
        partition,
        split,
    )
    from sparkml_dist.deep import (
        DeepEnsembleClassificationModel,
        DeepEnsembleClassifier,
        KerasClassificationModel,
        KerasClassifier,
        KerasEstimator,
        KerasModel,
        KerasRegressionModel,
        KerasRegressor,
        as_tf_dataset,
    )
    from sparkml_dist.ensemble import (
        AdaBoostClassificationModel,
        AdaBoostClassifier,
        AdaBoostPLClassificationModel,
        AdaBoostPLClassifier,
        BaggingClassificationModel,
        BaggingClassifier,
        BaggingRegressionModel,
        BaggingRegressor,
        BlendingClassificationModel,
        BlendingClassifier,
        CalibratedClassificationModel,
        CalibratedClassifier,
        EnsembleSelectionClassifier,
        GradientBoostingClassificationModel,
        GradientBoostingClassifier,
        GradientBoostingRegressionModel,
        GradientBoostingRegressor,
        IVotesClassificationModel,
        IVotesClassifier,
        StackingClassificationModel,
        StackingClassifier,
        StackingRegressionModel,
        StackingRegressor,
        VotedClassificationModel,
        VotedRegressionModel,
        VotingClassificationModel,
        VotingClassifier,
        VotingRegressionModel,
        VotingRegressor,
        vote,
    )
    from sparkml_dist.errors import SparkMLDistError
    from sparkml_dist.mining import (
        DBSCAN,
        AssociationRules,
        AssociationRulesModel,
        CentersModel,
        DBSCANModel,
        DriftReport,
        FrequentItemsets,
        FrequentItemsetsModel,
        IsolationForest,
        IsolationForestModel,
        KMeans,
        KMedoids,
        LocalOutlierFactor,
        LocalOutlierFactorModel,
        MiniBatchKMeans,
        NearestNeighbors,
        NearestNeighborsModel,
        Profile,
        RobustZScore,
        RobustZScoreModel,
        SequentialPatterns,
        SequentialPatternsModel,
        drift,
        event_sequences,
        profile,
        read_baskets,
        silhouette,
        similar_pairs,
        windowed_baskets,
    )
    from sparkml_dist.models.loading import load_model
    from sparkml_dist.search import HyperparameterSearch, HyperparameterSearchModel
    from sparkml_dist.session import SessionInfo, get_session
    from sparkml_dist.statistics import (
        GeneralizedLinearModel,
        GeneralizedLinearRegressionModel,
        LinearRegression,
        LinearRegressionModel,
        LogisticRegression,
        LogisticRegressionModel,
        TestResult,
        anova,
        contingency_test,
        correlation_test,
        t_test,
    )

__all__ = [
    "DBSCAN",
    "AdaBoostClassificationModel",
    "AdaBoostClassifier",
    "AdaBoostPLClassificationModel",
    "AdaBoostPLClassifier",
    "AssociationRules",
    "AssociationRulesModel",
    "AutoClassificationModel",
    "AutoClassifier",
    "AutoRegressionModel",
    "AutoRegressor",
    "BaggingClassificationModel",
    "BaggingClassifier",
    "BaggingRegressionModel",
    "BaggingRegressor",
    "BlendingClassificationModel",
    "BlendingClassifier",
    "Block",
    "CalibratedClassificationModel",
    "CalibratedClassifier",
    "CentersModel",
    "DBSCANModel",
    "DeepEnsembleClassificationModel",
    "DeepEnsembleClassifier",
    "DriftReport",
    "EnsembleSelectionClassifier",
    "FrequentItemsets",
    "FrequentItemsetsModel",
    "GeneralizedLinearModel",
    "GeneralizedLinearRegressionModel",
    "GradientBoostingClassificationModel",
    "GradientBoostingClassifier",
    "GradientBoostingRegressionModel",
    "GradientBoostingRegressor",
    "HyperparameterSearch",
    "HyperparameterSearchModel",
    "IVotesClassificationModel",
    "IVotesClassifier",
    "IsolationForest",
    "IsolationForestModel",
    "KMeans",
    "KMedoids",
    "KerasClassificationModel",
    "KerasClassifier",
    "KerasEstimator",
    "KerasModel",
    "KerasRegressionModel",
    "KerasRegressor",
    "LinearRegression",
    "LinearRegressionModel",
    "LocalOutlierFactor",
    "LocalOutlierFactorModel",
    "LogisticRegression",
    "LogisticRegressionModel",
    "MiniBatchKMeans",
    "NearestNeighbors",
    "NearestNeighborsModel",
    "PartitionedDataset",
    "Profile",
    "RobustZScore",
    "RobustZScoreModel",
    "SequentialPatterns",
    "SequentialPatternsModel",
    "SessionInfo",
    "SparkMLDistError",
    "StackingClassificationModel",
    "StackingClassifier",
    "StackingRegressionModel",
    "StackingRegressor",
    "TableFeatures",
    "TableFeaturesModel",
    "TestResult",
    "VotedClassificationModel",
    "VotedRegressionModel",
    "VotingClassificationModel",
    "VotingClassifier",
    "VotingRegressionModel",
    "VotingRegressor",
    "XGBoostClassificationModel",
    "XGBoostClassifier",
    "XGBoostRegressionModel",
    "XGBoostRegressor",
    "__version__",
    "adopt",
    "anova",
    "as_tf_dataset",
    "contingency_test",
    "correlation_test",
    "drift",
    "event_sequences",
    "folds",
    "get_session",
    "holdout",
    "load_model",
    "open_partitioned",
    "partition",
    "profile",
    "read_baskets",
    "silhouette",
    "similar_pairs",
    "split",
    "t_test",
    "vote",
    "windowed_baskets",
]


def __getattr__(name: str) -> Any:
    if name in PUBLIC_NAMES:
        value = public_object(name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'sparkml_dist' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *PUBLIC_NAMES])
