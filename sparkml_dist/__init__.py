"""Ensembles of any learner, data mining and Horovod-trained deep networks on Spark.

The public names are imported when they are first used, so that ``import sparkml_dist`` is light
and never brings in TensorFlow or Horovod.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sparkml_dist.version import __version__

if TYPE_CHECKING:
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
        VotingClassificationModel,
        VotingClassifier,
        VotingRegressionModel,
        VotingRegressor,
    )
    from sparkml_dist.errors import SparkMLDistError
    from sparkml_dist.mining import (
        AssociationRules,
        AssociationRulesModel,
        FrequentItemsets,
        FrequentItemsetsModel,
        MinHashJoin,
        NearestNeighbors,
        NearestNeighborsModel,
        SequentialPatterns,
        SequentialPatternsModel,
        event_sequences,
        read_baskets,
        windowed_baskets,
    )
    from sparkml_dist.session import SessionInfo, get_session
    from sparkml_dist.shard_model import load_model

_HOMES = {
    "AdaBoostClassificationModel": "ensemble",
    "AdaBoostClassifier": "ensemble",
    "AdaBoostPLClassificationModel": "ensemble",
    "AdaBoostPLClassifier": "ensemble",
    "AssociationRules": "mining",
    "AssociationRulesModel": "mining",
    "BaggingClassificationModel": "ensemble",
    "BaggingClassifier": "ensemble",
    "BaggingRegressionModel": "ensemble",
    "BaggingRegressor": "ensemble",
    "BlendingClassificationModel": "ensemble",
    "BlendingClassifier": "ensemble",
    "Block": "dataset",
    "CalibratedClassificationModel": "ensemble",
    "CalibratedClassifier": "ensemble",
    "EnsembleSelectionClassifier": "ensemble",
    "FrequentItemsets": "mining",
    "FrequentItemsetsModel": "mining",
    "GradientBoostingClassificationModel": "ensemble",
    "GradientBoostingClassifier": "ensemble",
    "GradientBoostingRegressionModel": "ensemble",
    "GradientBoostingRegressor": "ensemble",
    "IVotesClassificationModel": "ensemble",
    "IVotesClassifier": "ensemble",
    "KerasClassificationModel": "deep",
    "KerasClassifier": "deep",
    "KerasEstimator": "deep",
    "KerasModel": "deep",
    "KerasRegressionModel": "deep",
    "KerasRegressor": "deep",
    "MinHashJoin": "mining",
    "NearestNeighbors": "mining",
    "NearestNeighborsModel": "mining",
    "PartitionedDataset": "dataset",
    "SequentialPatterns": "mining",
    "SequentialPatternsModel": "mining",
    "SessionInfo": "session",
    "SparkMLDistError": "errors",
    "StackingClassificationModel": "ensemble",
    "StackingClassifier": "ensemble",
    "StackingRegressionModel": "ensemble",
    "StackingRegressor": "ensemble",
    "VotingClassificationModel": "ensemble",
    "VotingClassifier": "ensemble",
    "VotingRegressionModel": "ensemble",
    "VotingRegressor": "ensemble",
    "adopt": "dataset",
    "as_tf_dataset": "deep",
    "event_sequences": "mining",
    "folds": "dataset",
    "get_session": "session",
    "holdout": "dataset",
    "load_model": "shard_model",
    "open_partitioned": "dataset",
    "partition": "dataset",
    "read_baskets": "mining",
    "split": "dataset",
    "windowed_baskets": "mining",
}

__all__ = [
    "AdaBoostClassificationModel",
    "AdaBoostClassifier",
    "AdaBoostPLClassificationModel",
    "AdaBoostPLClassifier",
    "AssociationRules",
    "AssociationRulesModel",
    "BaggingClassificationModel",
    "BaggingClassifier",
    "BaggingRegressionModel",
    "BaggingRegressor",
    "BlendingClassificationModel",
    "BlendingClassifier",
    "Block",
    "CalibratedClassificationModel",
    "CalibratedClassifier",
    "EnsembleSelectionClassifier",
    "FrequentItemsets",
    "FrequentItemsetsModel",
    "GradientBoostingClassificationModel",
    "GradientBoostingClassifier",
    "GradientBoostingRegressionModel",
    "GradientBoostingRegressor",
    "IVotesClassificationModel",
    "IVotesClassifier",
    "KerasClassificationModel",
    "KerasClassifier",
    "KerasEstimator",
    "KerasModel",
    "KerasRegressionModel",
    "KerasRegressor",
    "MinHashJoin",
    "NearestNeighbors",
    "NearestNeighborsModel",
    "PartitionedDataset",
    "SequentialPatterns",
    "SequentialPatternsModel",
    "SessionInfo",
    "SparkMLDistError",
    "StackingClassificationModel",
    "StackingClassifier",
    "StackingRegressionModel",
    "StackingRegressor",
    "VotingClassificationModel",
    "VotingClassifier",
    "VotingRegressionModel",
    "VotingRegressor",
    "__version__",
    "adopt",
    "as_tf_dataset",
    "event_sequences",
    "folds",
    "get_session",
    "holdout",
    "load_model",
    "open_partitioned",
    "partition",
    "read_baskets",
    "split",
    "windowed_baskets",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(import_module(f"sparkml_dist.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'sparkml_dist' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
