"""A PySpark regressor that silos train together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from sparkml_dist.dataset.columns import Task
from sparkml_dist.federated.estimators.federated_estimator import FederatedEstimator
from sparkml_dist.federated.estimators.federated_model import (
    FederatedModel,
    FederatedRegressionModel,
)
from sparkml_dist.params import constructor

__all__ = ["FederatedRegressor"]


class FederatedRegressor(FederatedEstimator):
    """A regressor that silos train together: rows stay in their silo, updates of the model leave.

    Parameters
    ----------
    siloCol : str, default="silo"
        Column with the names of silos. It simulates a federation: whoever owns the cluster can read
        all rows. For silos elsewhere see `fit_federated`.
    model : str or callable, default="linear"
        ``"linear"``; ``"perceptron"``, a small network in numpy with `hiddenUnits`;
        ``"fourier"``, a kernel machine on `numFourierFeatures` random features of a Gaussian
        kernel with `lengthScale`; or a Keras network as for `KerasRegressor`, with `inputShape`.
    strategy : str or Strategy, default="fedavg"
        ``"fedavg"``, ``"fedavgm"``, ``"fedprox"``, ``"scaffold"``, ``"fednova"``, ``"fedadam"``,
        ``"fedyogi"``, ``"fedadagrad"``, ``"feddyn"``, ``"ditto"``, ``"clustered"``, or an object
        such as ``FedProx(mu=0.1)``.
    aggregation : str or Aggregation, default="mean"
        How silos' updates are combined: ``"mean"``, ``"median"``, ``"trimmedMean"``, ``"krum"``,
        ``"multiKrum"``, ``"bulyan"``, ``"normClipping"``, or an object.
    rounds : int, default=20
    localEpochs, localSteps : int
        Passes over a silo's rows, or steps, in a round.
    batchSize : int, default=32
        Rows of a step; 0 for all.
    learningRate, momentum : float
        Of the steps in silos.
    weighting : {"rows", "equal"}, default="rows"
    participation : float or int, default=1.0
        Probability that a silo takes part in a round, independently of the others (Poisson
        sampling), or how many silos do.
    minSilos : int, default=1
        Fewest silos whose updates a round needs.
    alpha : float, default=0.0
        Penalty on squared coefficients.
    standardization : bool, default=True
        Whether features have mean 0 and deviation 1 over all silos, so that units do not matter.
        Missing values take the mean.
    validationFraction : float, default=0.0
        Share of rows that is held out for the metrics; metrics of the training rows with 0.
    evaluateEvery : int, optional
        Rounds between evaluations; every round by default, none with `noiseMultiplier`.
    personalModels : bool, default=False
        Whether silos' own models are collected at the end.
    secure : bool, default=False
        Whether sums are secure; see `SecureSum`.
    noiseMultiplier, clipNorm, privacyUnit, adaptiveClipping, delta, maxEpsilon : optional
        Differential privacy of records (`RecordPrivacy`) or of silos (`SiloPrivacy`). Batches are
        Poisson samples of `batchSize` rows then. The training ends before `maxEpsilon` is passed.
    featuresCol, featuresCols, categoricalCols, labelCol, keyCol, predictionCol, \
modelDir, overwrite, resume, seed
        As for `XGBoostRegressor`. A fit that is resumed goes on after its last committed round.

    Examples
    --------
    >>> rows = [(i % 3, i % 7 + 0.0, 2.0 * (i % 7)) for i in range(42)]
    >>> names = "silo long, x double, y double"
    >>> table = spark.createDataFrame(rows, names)
    >>> estimator = FederatedRegressor(strategy="scaffold", labelCol="y", localEpochs=20)
    >>> model = estimator.setRounds(3).setLearningRate(0.3).fit(table)
    >>> bool(model.rounds["rmse"].iloc[-1] < 0.5)
    True
    """

    _task: ClassVar[Task] = "regression"
    _linear: ClassVar[str] = "linear"
    _model_class: ClassVar[type[FederatedModel]] = FederatedRegressionModel

    @constructor
    def __init__(
        self,
        *,
        siloCol: str = "silo",
        model: Any = "linear",
        strategy: Any = "fedavg",
        aggregation: Any = "mean",
        rounds: int = 20,
        localEpochs: int = 1,
        localSteps: int = 0,
        batchSize: int = 32,
        learningRate: float = 0.1,
        momentum: float = 0.0,
        weighting: str = "rows",
        participation: Any = 1.0,
        minSilos: int = 1,
        alpha: float = 0.0,
        hiddenUnits: Sequence[int] = (64,),
        numFourierFeatures: int = 256,
        lengthScale: float | None = None,
        standardization: bool = True,
        inputShape: Sequence[int] | None = None,
        validationFraction: float = 0.0,
        evaluateEvery: int | None = None,
        personalModels: bool = False,
        secure: bool = False,
        noiseMultiplier: float | None = None,
        clipNorm: float | None = None,
        privacyUnit: str = "record",
        adaptiveClipping: bool = False,
        delta: float = 1e-5,
        maxEpsilon: float | None = None,
        featuresCols: Sequence[str] | None = None,
        categoricalCols: Sequence[str] | None = None,
        keyCol: str | None = None,
        featuresCol: str = "features",
        labelCol: str = "label",
        modelDir: str | None = None,
        overwrite: bool = False,
        resume: bool = False,
        predictionCol: str = "prediction",
        seed: int = 0,
    ) -> None: ...
