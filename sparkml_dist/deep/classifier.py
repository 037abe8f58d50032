"""A Keras network as a PySpark classifier, trained by ranks over the shards."""

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
    accumulationSteps, clipNorm, learningRateScaling, warmupEpochs, mixedPrecision : optional
        How a step is made; see `CouplingSettings`, which has them in Python's spelling.
    compression, fusionMb, cycleMs : optional
        How Horovod brings gradients together between hosts; see `CouplingSettings`.
    transport : {"auto", "horovod"}, default="auto"
        Whether ranks that are all on one host, without GPUs, sum gradients in shared memory, or
        Horovod does it in any case.
    inputShape : list of int, optional
        Shape that a row's features are given, such as ``[28, 28, 1]``.
    classWeight : "balanced" or dict, optional
        Factor on the weight of the rows of each class in training; classes that a dict does not
        name have 1.
    seed : int, default=0
    featuresCol, featuresCols, categoricalCols, labelCol, weightCol, keyCol
        Roles of columns; by default ``label``, and ``features`` or else all other columns.
    predictionCol, probabilityCol, rawPredictionCol, predictedLabelCol : str
        Names of the columns that the model adds.
    numShards, memoryPerTask, shardsDir
        How a DataFrame is cut; not used when `fit` is given a `PartitionedDataset`.
    checkpointEvery : int, default=0
        Steps from one checkpoint to the next; 0 for one at the end of each epoch.
    maxRestarts : int, default=2
        How often ranks are launched anew, from the last checkpoint, when one of them was lost.
    stallTimeout : float, default=600
        Seconds in which no rank takes a batch, after which the training counts as stalled; 0 for
        never.
    silenceTimeout : float, default=300
        Seconds without a sign of life of a rank's process, as when it is stopped, after which it
        counts as lost; 0 for never.
    slotTimeout : float, default=600
        Seconds to wait for task slots: for executors that are still to come, and for slots that
        other jobs of the application hold.
    keepCheckpoints : int, default=0
        How many of the last checkpoints stay in `modelDir` when the training has ended.
    modelDir, overwrite, resume
        Where the network, the logs of the ranks and, until the end, checkpoints are left. With
        `resume` a fit that has not ended goes on, also with another `numRanks`.

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
        "classWeight", "'balanced', or a dict from classes to the factor on their rows' weight"
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
