"""A Keras network as a PySpark classifier, trained by ranks over the shards."""

from __future__ import annotations

from typing import ClassVar

from sparkml_dist.classification_model import ShardClassificationModel
from sparkml_dist.classifier import ShardClassifier
from sparkml_dist.deep.network_estimator import NetworkEstimator
from sparkml_dist.deep.network_model import NetworkModel

__all__ = ["KerasClassificationModel", "KerasClassifier"]


class KerasClassificationModel(NetworkModel, ShardClassificationModel):
    """What `KerasClassifier` fits; see `NetworkModel` for the attributes."""


class KerasClassifier(NetworkEstimator, ShardClassifier):
    """One network, trained by several processes that each stream their part of the shards.

    The processes (*ranks*) run side by side in Spark tasks, one each, and average their gradients
    with Horovod after every step: the network is updated as by one process with batches of
    ``numRanks * batchSize`` rows. Each epoch sees every row exactly once.

    Parameters
    ----------
    builder : str or callable
        ``"mlp"``, ``"cnn"``, ``"FILE.py:FUNCTION"``, or a function that returns a compiled
        Keras 3 model. It is called with those of the keyword arguments ``input_shape``,
        ``n_classes``, ``normalization`` (mean and standard deviation of the features) and
        ``total_steps`` that it takes. Labels come as the loss wants them: class codes for a sparse
        loss, else one-hot rows, or 0 and 1 for a single output unit.
    numRanks : int, default=2
    epochs : int, default=10
    batchSize : int, optional
        Rows of one step on each rank; by default a power of two from 16 to 256 that makes about
        100 steps of an epoch.
    inputShape : list of int, optional
        Shape that a row's features are given, such as ``[28, 28, 1]``.
    seed : int, default=0
    featuresCol, featuresCols, categoricalCols, labelCol, weightCol, keyCol
        Roles of columns; by default ``label``, and ``features`` or else all other columns.
    predictionCol, probabilityCol, rawPredictionCol, predictedLabelCol : str
        Names of the columns that the model adds.
    numShards, memoryPerTask, shardsDir
        How a DataFrame is cut; not used when `fit` is given a `PartitionedDataset`.
    modelDir, overwrite, resume
        Where the network and the logs of the ranks are left.

    References
    ----------
    Sergeev, Del Balso (2018), "Horovod: fast and easy distributed deep learning in TensorFlow",
    arXiv:1802.05799.

    Examples
    --------
    >>> digits = KerasClassifier(  # doctest: +SKIP
    ...     builder="cnn", numRanks=2, epochs=5, inputShape=[28, 28, 1]
    ... )
    >>> digits.fit(train).transform(test)  # doctest: +SKIP
    """

    _model_class: ClassVar[type[NetworkModel]] = KerasClassificationModel
