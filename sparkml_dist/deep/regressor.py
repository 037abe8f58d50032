"""A PySpark regressor with a Keras network, trained by ranks over the shards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from sparkml_dist.deep.network_estimator import NetworkEstimator
from sparkml_dist.deep.network_model import NetworkModel
from sparkml_dist.models.regression_model import ShardRegressionModel
from sparkml_dist.models.regressor import ShardRegressor
from sparkml_dist.params import constructor

__all__ = ["KerasRegressionModel", "KerasRegressor"]


class KerasRegressionModel(NetworkModel, ShardRegressionModel):
    """The model of `KerasRegressor`; see `NetworkModel` for the attributes."""


class KerasRegressor(NetworkEstimator, ShardRegressor):
    """One network that predicts a number, trained like a `KerasClassifier`.

    Parameters
    ----------
    builder : str or callable
        ``"mlp"``, ``"cnn"``, ``"FILE.py:FUNCTION"``, or a function that returns a compiled
        Keras 3 model with one output unit. It gets the keyword arguments of all builders, but
        instead of ``n_classes`` it gets ``target_normalization`` (mean and standard deviation of
        the label), if it accepts that: a network whose last layer is ``Rescaling(std,
        offset=mean)`` learns targets of any size, with loss, metrics and predictions in the
        label's own unit. ``"mlp"`` and ``"cnn"`` end with this layer.
    numRanks, epochs, batchSize, inputShape, seed
        As for `KerasClassifier`.
    featuresCol, featuresCols, categoricalCols, labelCol, weightCol, keyCol
        Roles of columns; by default ``label``, and ``features`` or else all other columns.
    predictionCol : str
        Name of the column (double) that the model adds.
    numShards, memoryPerTask, shardsDir, modelDir, overwrite, resume
        As for `KerasClassifier`.

    Examples
    --------
    >>> prices = KerasRegressor(builder="mlp", numRanks=2, labelCol="price")
    >>> prices.getNumRanks()
    2
    """

    _model_class: ClassVar[type[NetworkModel]] = KerasRegressionModel

    @constructor
    def __init__(
        self,
        *,
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
    ) -> None: ...
