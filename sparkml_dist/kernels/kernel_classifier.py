"""Classification by similarities to centres: squared loss, or logistic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pyspark.ml.param import TypeConverters

from sparkml_dist.kernels.kernel_params import check_option
from sparkml_dist.kernels.machine_estimator import KernelMachine
from sparkml_dist.kernels.machine_model import KernelMachineModel
from sparkml_dist.models.classification_model import ShardClassificationModel
from sparkml_dist.models.classifier import ShardClassifier
from sparkml_dist.params import constructor, param

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["KernelClassificationModel", "KernelClassifier"]


class KernelClassificationModel(KernelMachineModel, ShardClassificationModel):
    """The model of `KernelClassifier`; see `KernelMachineModel` for the attributes."""


class KernelClassifier(KernelMachine, ShardClassifier):
    """Predicts a class by weighted similarities to centres, learnt from all rows.

    With ``loss="squared"``, one ridge regression for each class against all others, on targets 1
    and 0 (all from the same sums): its scores estimate probabilities, and are cut at 0 and
    normalized. With ``loss="logistic"``, one multinomial logistic regression (softmax) on
    Nyström's features, by preconditioned L-BFGS, a pass over the rows for each step; better
    probabilities at 20 to 100 times the passes.

    Parameters
    ----------
    loss : {"squared", "logistic"}, default="squared"
    alpha, alphas, validationFraction, fitIntercept, solver, tol, maxIter, precision
        As for `KernelRidge`. The logistic loss has half the penalty: ``Σ weight loss + alpha / 2
        |f|²``, alpha being ``1 / C`` of scikit-learn's `LogisticRegression`; `solver` is not used.
    approximation, numCenters, centerMethod, centers, kernel, lengthScale, nu, degree, \
standardization, missing
        As for `KernelRidge`.
    featuresCol, featuresCols, categoricalCols, labelCol, weightCol, keyCol, predictionCol, \
probabilityCol, rawPredictionCol, predictedLabelCol, numShards, memoryPerTask, shardsDir, \
modelDir, overwrite, resume, seed
        As for `XGBoostClassifier`; ``rawPrediction`` holds logarithms of the probabilities.

    References
    ----------
    Rifkin, Klautau (2004), "In defense of one-vs-all classification". Marteau-Ferey, Bach, Rudi
    (2019), "Globally convergent Newton methods for ill-conditioned generalized self-concordant
    losses", arXiv:1907.01771.

    Examples
    --------
    >>> machine = KernelClassifier(numCenters=20, alpha=0.1, numShards=2, labelCol="species")
    >>> found = machine.fit(iris).transform(iris)
    >>> found.where("predictedLabel = species").count() > 140
    True
    """

    loss: Any = param(
        "loss",
        "'squared' (a ridge regression for each class) or 'logistic' (softmax)",
        TypeConverters.toString,
    )

    _model_class: ClassVar[type[KernelMachineModel]] = KernelClassificationModel

    @constructor
    def __init__(
        self,
        *,
        loss: str = "squared",
        approximation: str = "nystroem",
        numCenters: int = 256,
        centerMethod: str = "uniform",
        centers: Sequence[Sequence[float]] | None = None,
        kernel: str = "rbf",
        lengthScale: float | str = "median",
        nu: float = 1.5,
        degree: int = 1,
        standardization: bool = True,
        missing: str = "error",
        alpha: float = 1.0,
        alphas: Sequence[float] | None = None,
        validationFraction: float = 0.1,
        fitIntercept: bool = True,
        solver: str = "auto",
        tol: float = 1e-6,
        maxIter: int = 100,
        precision: str = "double",
        form: str = "auto",
        numRanks: int | None = None,
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

    def _loss(self) -> str:
        return str(self.getOrDefault(self.loss))

    def _check_params(self, spark: SparkSession) -> None:
        check_option("loss", self._loss(), ("squared", "logistic"))
        super()._check_params(spark)
