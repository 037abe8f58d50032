"""The public names of `sparkml_dist`, and the module of each.

This is also the registry for saved objects: a manifest names a class by its public name, and only
classes listed here are imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any

__all__ = ["PUBLIC_NAMES", "public_object"]

#: Public name to the module inside ``sparkml_dist`` that exports it.
PUBLIC_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "AdaBoostClassificationModel": "ensemble",
        "AdaBoostClassifier": "ensemble",
        "AdaBoostPLClassificationModel": "ensemble",
        "AdaBoostPLClassifier": "ensemble",
        "AssociationRules": "mining",
        "AssociationRulesModel": "mining",
        "AutoClassificationModel": "automl",
        "AutoClassifier": "automl",
        "AutoRegressionModel": "automl",
        "AutoRegressor": "automl",
        "BaggingClassificationModel": "ensemble",
        "BaggingClassifier": "ensemble",
        "BaggingRegressionModel": "ensemble",
        "BaggingRegressor": "ensemble",
        "BayesianNetwork": "graphical",
        "BayesianNetworkClassificationModel": "graphical",
        "BayesianNetworkClassifier": "graphical",
        "BayesianNetworkModel": "graphical",
        "BlendingClassificationModel": "ensemble",
        "BlendingClassifier": "ensemble",
        "Block": "dataset",
        "CalibratedClassificationModel": "ensemble",
        "CalibratedClassifier": "ensemble",
        "CentersModel": "mining",
        "DBSCAN": "mining",
        "DBSCANModel": "mining",
        "DeepEnsembleClassificationModel": "deep",
        "DeepEnsembleClassifier": "deep",
        "DriftReport": "mining",
        "EnsembleSelectionClassifier": "ensemble",
        "FourierFeatures": "kernels",
        "FourierFeaturesModel": "kernels",
        "FrequentItemsets": "mining",
        "FrequentItemsetsModel": "mining",
        "GaussianNetwork": "graphical",
        "GaussianNetworkModel": "graphical",
        "GaussianProcess": "kernels",
        "GaussianProcessModel": "kernels",
        "GeneralizedLinearModel": "statistics",
        "GeneralizedLinearRegressionModel": "statistics",
        "GradientBoostingClassificationModel": "ensemble",
        "GradientBoostingClassifier": "ensemble",
        "GradientBoostingRegressionModel": "ensemble",
        "GradientBoostingRegressor": "ensemble",
        "GridValue": "models.grid_value",
        "HyperparameterSearch": "search",
        "HyperparameterSearchModel": "search",
        "IVotesClassificationModel": "ensemble",
        "IVotesClassifier": "ensemble",
        "IsolationForest": "mining",
        "IsolationForestModel": "mining",
        "KMeans": "mining",
        "KMedoids": "mining",
        "KerasClassificationModel": "deep",
        "KerasClassifier": "deep",
        "KerasEstimator": "deep",
        "KerasModel": "deep",
        "KerasRegressionModel": "deep",
        "KerasRegressor": "deep",
        "KernelClassificationModel": "kernels",
        "KernelClassifier": "kernels",
        "KernelClustersModel": "kernels",
        "KernelKMeans": "kernels",
        "KernelRidge": "kernels",
        "KernelRidgeModel": "kernels",
        "LinearRegression": "statistics",
        "LinearRegressionModel": "statistics",
        "LocalOutlierFactor": "mining",
        "LocalOutlierFactorModel": "mining",
        "LogisticRegression": "statistics",
        "LogisticRegressionModel": "statistics",
        "MiniBatchKMeans": "mining",
        "NearestNeighbors": "mining",
        "NearestNeighborsModel": "mining",
        "NystroemFeatures": "kernels",
        "NystroemFeaturesModel": "kernels",
        "OneClassMachine": "kernels",
        "OneClassMachineModel": "kernels",
        "PartitionedDataset": "dataset",
        "Profile": "mining",
        "RobustZScore": "mining",
        "RobustZScoreModel": "mining",
        "SequentialPatterns": "mining",
        "SequentialPatternsModel": "mining",
        "SessionInfo": "session",
        "SparkMLDistError": "errors",
        "SpectralClustering": "kernels",
        "StackingClassificationModel": "ensemble",
        "StackingClassifier": "ensemble",
        "StackingRegressionModel": "ensemble",
        "StackingRegressor": "ensemble",
        "TableFeatures": "automl",
        "TableFeaturesModel": "automl",
        "TestResult": "statistics",
        "VotedClassificationModel": "ensemble",
        "VotedRegressionModel": "ensemble",
        "VotingClassificationModel": "ensemble",
        "VotingClassifier": "ensemble",
        "VotingRegressionModel": "ensemble",
        "VotingRegressor": "ensemble",
        "XGBoostClassificationModel": "boosting",
        "XGBoostClassifier": "boosting",
        "XGBoostRegressionModel": "boosting",
        "XGBoostRegressor": "boosting",
        "adopt": "dataset",
        "anova": "statistics",
        "as_tf_dataset": "deep",
        "contingency_test": "statistics",
        "correlation_test": "statistics",
        "drift": "mining",
        "event_sequences": "mining",
        "folds": "dataset",
        "get_session": "session",
        "holdout": "dataset",
        "load_model": "models.loading",
        "open_partitioned": "dataset",
        "partition": "dataset",
        "profile": "mining",
        "read_baskets": "mining",
        "read_network": "graphical",
        "silhouette": "mining",
        "similar_pairs": "mining",
        "split": "dataset",
        "t_test": "statistics",
        "vote": "ensemble",
        "windowed_baskets": "mining",
    }
)


def public_object(name: str) -> Any:
    """Return the object of a public name; its module is imported on first use.

    Raises
    ------
    KeyError
        There is no such public name; nothing is imported.
    """
    return getattr(import_module(f"sparkml_dist.{PUBLIC_NAMES[name]}"), name)
