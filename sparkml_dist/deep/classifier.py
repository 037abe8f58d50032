"""A PySpark classifier with a Keras network, trained by ranks over the shards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.deep.class_weight import check_class_weight, class_weights
from sparkml_dist.deep.input.rows import TrainingRows
from sparkml_dist.deep.network_estimator import NetworkEstimator
from sparkml_dist.deep.network_model import NetworkModel
from sparkml_dist.models.classification_model import ShardClassificationModel
from sparkml_dist.models.classifier import ShardClassifier
from sparkml_dist.params import constructor, param

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["KerasClassificationModel", "KerasClassifier"]


class KerasClassificationModel(NetworkModel, ShardClassificationModel):
    """The model of `KerasClassifier`; see `NetworkModel` for the attributes."""


class KerasClassifier(NetworkEstimator, ShardClassifier):
    """One network, trained by several processes that each stream a part of the shards.

    The processes (*ranks*) run at the same time in Spark tasks, one each, and average their
    gradients with Horovod after every step, as if one process trained with batches of
    ``numRanks * batchSize`` rows. Each epoch sees every row exactly once.

    Parameters
    ----------
    builder : str or callable
        ``"mlp"``, ``"cnn"``, ``"FILE.py:FUNCTION"``, or a function that returns a compiled
        Keras 3 model. It gets those of the keyword arguments ``input_shape``, ``n_classes``,
        ``normalization`` (mean and standard deviation of the features) and ``total_steps`` that it
        accepts. Labels are in the form that the loss needs: class codes for a sparse loss, else
        one-hot rows, or 0 and 1 for a single output unit.
    numRanks : int, default=2
    epochs : int, default=10
    batchSize : int, optional
        Rows of one step on each rank; by default the power of two from 16 to 256 that gives about
        100 steps per epoch.
    accumulationSteps, clipNorm, learningRateScaling, warmupEpochs, mixedPrecision : optional
        Settings of a step; see `CouplingSettings`, which has them in snake_case.
    compression, fusionMb, cycleMs : optional
        How Horovod reduces gradients between hosts; see `CouplingSettings`.
    transport : {"auto", "horovod"}, default="auto"
        With ``"auto"``, ranks that are all on one host, without GPUs, sum gradients in shared
        memory; with ``"horovod"``, Horovod always reduces them.
    inputShape : list of int, optional
        Shape of a row's features, such as ``[28, 28, 1]``.
    classWeight : "balanced" or dict, optional
        Factor on the weights of each class's rows in training; classes that are not in the dict
        have the factor 1.
    seed : int, default=0
    featuresCol, featuresCols, categoricalCols, labelCol, weightCol, keyCol
        Roles of columns; by default ``label``, and ``features`` or else all other columns.
    predictionCol, probabilityCol, rawPredictionCol, predictedLabelCol : str
        Names of the columns that the model adds.
    numShards, memoryPerTask, shardsDir
        How a DataFrame is partitioned; unused when `fit` is given a `PartitionedDataset`.
    checkpointEvery : int, default=0
        Steps from one checkpoint to the next; 0 for one at the end of each epoch.
    maxRestarts : int, default=2
        Most restarts from the last checkpoint after the loss of a rank.
    stallTimeout : float, default=600
        Seconds in which no rank takes a batch, after which the training counts as stalled; 0 for
        no limit.
    silenceTimeout : float, default=300
        Seconds without a heartbeat of a rank's process, for example because it is stopped, after
        which it counts as lost; 0 for no limit.
    slotTimeout : float, default=600
        Seconds to wait for task slots: for executors that have not registered yet, and for slots
        that other jobs of the application hold.
    keepCheckpoints : int, default=0
        Number of the last checkpoints to keep in `modelDir` after the training.
    modelDir, overwrite, resume
        Folder of the network, the logs of the ranks and, until the end, checkpoints. With `resume`
        an unfinished fit is resumed, also with another `numRanks`.

    References
    ----------
    Sergeev, Del Balso (2018), "Horovod: fast and easy distributed deep learning in TensorFlow",
    arXiv:1802.05799.

    Examples
    --------
    >>> digits = KerasClassifier(builder="cnn", numRanks=2, epochs=5, inputShape=[28, 28, 1])
    >>> digits.getInputShape()
    [28, 28, 1]
    """

    _model_class: ClassVar[type[NetworkModel]] = KerasClassificationModel

    classWeight: Any = param(
        "classWeight", "'balanced', or a dict from classes to factors on their rows' weights"
    )

    @constructor
    def __init__(
        self,
        *,
        classWeight: Any = None,
        builder: Any = None,
        numRanks: int = 2,
        epochs: int = 10,
        batchSize: int | None = None,
        inputShape: Sequence[int] | None = None,
        inputs: Any = None,
        validationFraction: float = 0.0,
        stopMetric: str | None = None,
        stopMode: str = "auto",
        patience: int | None = None,
        tol: float = 0.0,
        restoreBest: bool | None = None,
        callbacks: Any = None,
        tensorboard: bool = False,
        compression: str = "none",
        accumulationSteps: int = 1,
        clipNorm: float | None = None,
        fusionMb: float | None = None,
        cycleMs: float | None = None,
        mixedPrecision: str = "none",
        learningRateScaling: str = "none",
        warmupEpochs: float = 0.0,
        transport: str = "auto",
        checkpointEvery: int = 0,
        maxRestarts: int = 2,
        keepCheckpoints: int = 0,
        stallTimeout: float = 600.0,
        silenceTimeout: float = 300.0,
        slotTimeout: float = 600.0,
        featuresCols: Sequence[str] | None = None,
        categoricalCols: Sequence[str] | None = None,
        keyCol: str | None = None,
        featuresCol: str = "features",
        labelCol: str = "label",
        weightCol: str | None = None,
        numShards: int | None = None,
        memoryPerTask: str | None = None,
        shardsDir: str | None = None,
        modelDir: str | None = None,
        overwrite: bool = False,
        resume: bool = False,
        predictionCol: str = "prediction",
        seed: int = 0,
        predictedLabelCol: str = "predictedLabel",
        probabilityCol: str = "probability",
        rawPredictionCol: str = "rawPrediction",
    ) -> None: ...

    def _check_params(self, spark: SparkSession) -> None:
        if self.isSet(self.classWeight):
            check_class_weight(self.getOrDefault(self.classWeight))
        super()._check_params(spark)

    def _check_data(self, data: PartitionedDataset) -> None:
        super()._check_data(data)
        self._rows(data)

    def _rows(self, data: PartitionedDataset) -> TrainingRows:
        rows = super()._rows(data)
        if not self.isSet(self.classWeight):
            return rows
        return replace(rows, class_weight=class_weights(self.getOrDefault(self.classWeight), data))

    def _plan(self, data: PartitionedDataset) -> dict[str, Any]:
        return {**super()._plan(data), "classWeight": list(self._rows(data).class_weight)}
