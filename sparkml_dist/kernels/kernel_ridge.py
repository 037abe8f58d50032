"""Kernel ridge regression on centres, exact sums over all rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from sparkml_dist.kernels.machine_estimator import KernelMachine
from sparkml_dist.kernels.machine_model import KernelMachineModel
from sparkml_dist.models.regression_model import ShardRegressionModel
from sparkml_dist.models.regressor import ShardRegressor
from sparkml_dist.params import constructor

__all__ = ["KernelRidge", "KernelRidgeModel"]


class KernelRidgeModel(KernelMachineModel, ShardRegressionModel):
    """The model of `KernelRidge`; see `KernelMachineModel` for the attributes."""


class KernelRidge(KernelMachine, ShardRegressor):
    """Predicts a number by weighted similarities to centres, learnt from all rows.

    Minimizes ``Σ weight (y - f(x))² + alpha |f|²`` over the functions that are sums of
    similarities to `numCenters` rows: Nyström's approximation of kernel ridge regression, and the
    same as scikit-learn's `Nystroem` with `Ridge` for the same centres. With every row as a centre
    it is kernel ridge regression itself. The sums over rows are exact, and the same to the bit for
    any number of tasks; what is approximate is the choice of centres.

    Parameters
    ----------
    approximation : {"nystroem", "fourier"}, default="nystroem"
        Similarities to centres, or as many random features (see `FourierFeatures`): these need no
        rows, but more of them for the same error.
    numCenters : int, default=256
    centerMethod : {"uniform", "kmeans++", "leverage"}, default="uniform"
    centers : list of lists of float, optional
        The centres themselves.
    kernel, lengthScale, nu, degree, standardization, missing
        As for `FourierFeatures`; with ``lengthScale="validation"`` the best of several multiples of
        the median distance on held-out rows of a sample.
    alpha : float, default=1
        Penalty, as in scikit-learn's `KernelRidge`: it stands beside the sum over all rows.
    alphas : list of float, optional
        Penalties to try in the place of `alpha`; ``model.summary["path"]`` holds the held-out
        losses. The machine is then fitted on all rows with the best one.
    validationFraction : float, default=0.1
        Share of the rows, by hashes of their keys, that is held out for `alphas`.
    fitIntercept : bool, default=True
        Whether a constant without penalty is added. scikit-learn's `KernelRidge` has none.
    solver : {"auto", "direct", "cg"}, default="auto"
        ``"direct"`` forms the normal equations in one pass, which takes memory for the square of
        the centres; ``"cg"`` takes a pass for each step of preconditioned conjugate gradients;
        ``"auto"`` is direct for up to 2,000 centres.
    tol : float, default=1e-6
        Relative residual at which ``"cg"`` stops.
    maxIter : int, default=100
    precision : {"double", "single"}, default="double"
        In which similarities are computed; they are always added up in double.
    form : {"auto", "jobs", "gang"}, default="auto"
        Of an iterative solver: a Spark job for each pass over the rows, or ranks of a gang that
        keep them in memory as far as they fit. The machine is the same to the last bit. By default
        what is estimated to be faster.
    numRanks : int, optional
        Ranks of a gang; as many as there are task slots by default.
    featuresCol, featuresCols, categoricalCols, labelCol, weightCol, keyCol, predictionCol, \
numShards, memoryPerTask, shardsDir, modelDir, overwrite, resume, seed
        As for `XGBoostRegressor`. Features are read in single precision.

    References
    ----------
    Williams, Seeger (2001), "Using the Nyström method to speed up kernel machines". Rudi,
    Carratino, Rosasco (2017), "FALKON: an optimal large scale kernel method", arXiv:1705.10958.

    Examples
    --------
    >>> rows = [(i / 25, (i / 25 - 1) ** 2) for i in range(50)]
    >>> table = spark.createDataFrame(rows, "x double, y double")
    >>> model = KernelRidge(numCenters=10, alpha=0.001, numShards=2, labelCol="y").fit(table)
    >>> at_one = model.transform(spark.createDataFrame([(1.0,)], "x double")).first().prediction
    >>> abs(at_one) < 0.05
    True
    """

    _model_class: ClassVar[type[KernelMachineModel]] = KernelRidgeModel

    @constructor
    def __init__(
        self,
        *,
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
    ) -> None: ...
