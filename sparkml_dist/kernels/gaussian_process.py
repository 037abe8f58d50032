"""Gaussian process regression over shards: sparse, or a committee of experts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pyspark.ml.param import TypeConverters

from sparkml_dist.cluster.sums.layout import Summands
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.dataset.subsets import Validation
from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.kernels.feature_model import scaling_arrays
from sparkml_dist.kernels.functions.kernel import Kernel
from sparkml_dist.kernels.gaussian_process_model import METHODS, GaussianProcessModel, HasStdCol
from sparkml_dist.kernels.kernel_params import HasCenters, check_number, check_option
from sparkml_dist.kernels.length_scale import median_distance
from sparkml_dist.kernels.machine_estimator import check_rows
from sparkml_dist.kernels.machine_files import write_arrays, write_machine
from sparkml_dist.kernels.nystroem_map import NystroemMap
from sparkml_dist.kernels.process.bound import fitted_posterior
from sparkml_dist.kernels.process.calibration import (
    Calibration,
    residuals_of_block,
    residuals_of_draws,
)
from sparkml_dist.kernels.process.committee import write_experts
from sparkml_dist.kernels.process.committee_scorer import CommitteeScorer
from sparkml_dist.kernels.process.sample_evidence import most_likely
from sparkml_dist.kernels.ridge.normal_equations import RidgeMoments, moments_of_block, no_rows
from sparkml_dist.kernels.ridge.targets import Targets
from sparkml_dist.kernels.row_source import RowSource, ShardRows
from sparkml_dist.kernels.sampled_rows import SampledRows
from sparkml_dist.kernels.scaling import Scaling
from sparkml_dist.kernels.settings import Centered, KernelSettings, centered, fitted_scaling
from sparkml_dist.models.regressor import ShardRegressor
from sparkml_dist.params import constructor, param
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.model_folder import ModelFile
from sparkml_dist.sizes import parse_size

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["GaussianProcess"]

_MATERN = (0.5, 1.5, 2.5)
# Rows that a committee is calibrated on.
_MOST_HELD = 2000


class GaussianProcess(ShardRegressor, HasCenters, HasStdCol):
    """Predicts a number, and how far off it may be, by a Gaussian process over all rows.

    The hyper-parameters, among them a length scale for each feature, maximize the marginal
    likelihood of `sampleRows` random rows. Then, with ``method="sparse"``, a posterior on centres
    is formed from one pass over all rows, and the variances of signal and noise maximize Titsias'
    bound on the marginal likelihood of all rows, which needs no further pass. With
    ``method="committee"``, an exact process on `expertRows` rows of each shard, together with
    `numCenters` rows that all of them share, is one expert of a generalized robust committee: it is
    consistent where a plain product of experts is over-confident. A sparse process is faster and
    learns from every row; a committee follows functions that need many more centres.

    Parameters
    ----------
    method : {"sparse", "committee"}, default="sparse"
    numCenters : int, default=500
        Centres of the sparse process; rows that all experts share.
    centerMethod, centers
        As for `KernelRidge`.
    expertRows : int, default=1000
        Most rows of an expert besides the shared ones.
    sampleRows : int, default=1000
        Random rows whose marginal likelihood is maximized.
    validationFraction : float, default=0.1
        Share of the rows, by hashes of their keys, that is held out: standard deviations get the
        factor with which 95% of these rows lie within 1.96 of them. A sparse process then learns
        from all rows; the experts of a committee do without these (2,000 at most). 0 for no
        calibration; there is none by less than 100 rows.
    kernel : {"rbf", "matern"}, default="rbf"
    lengthScale : float, "median" or "evidence", default="evidence"
        One length scale, or by the evidence one for each feature.
    nu : float, default=1.5
        0.5, 1.5 or 2.5, for ``"matern"``.
    degree : int
        Not used: it belongs to the arc-cosine kernel.
    standardization, missing
        As for `KernelRidge`.
    stdCol : str, default="predictionStd"
        Column for the standard deviation of a new observation, noise among it: 95% of them lie
        within 1.96 standard deviations of the prediction, as far as the process fits.
    featuresCol, featuresCols, categoricalCols, labelCol, weightCol, keyCol, predictionCol, \
numShards, memoryPerTask, shardsDir, modelDir, overwrite, resume, seed
        As for `KernelRidge`. Weights count as repetitions in the sparse process, and are not used
        by committees and samples.

    References
    ----------
    Titsias (2009), "Variational learning of inducing variables in sparse Gaussian processes". Liu,
    Cai, Wang, Ong (2018), "Generalized robust Bayesian committee machine for large-scale Gaussian
    process regression", arXiv:1806.00720.

    Examples
    --------
    >>> rows = [(i / 25, (i / 25 - 1) ** 2) for i in range(50)]
    >>> table = spark.createDataFrame(rows, "x double, y double")
    >>> model = GaussianProcess(numCenters=10, numShards=2, labelCol="y").fit(table)
    >>> mean, std = model.predict([[1.0], [30.0]])
    >>> bool(abs(mean[0]) < 0.05 and std[0] < std[1])
    True
    """

    method: Any = param(
        "method",
        "'sparse' (a variational posterior on centres) or 'committee' (an expert for each shard)",
        TypeConverters.toString,
    )
    expertRows: Any = param(
        "expertRows", "most rows of an expert besides the shared ones (>= 1)", TypeConverters.toInt
    )
    validationFraction: Any = param(
        "validationFraction",
        "share of the rows, chosen by their keys, that is held out to calibrate the standard "
        "deviations (>= 0, < 1; 0: none)",
        TypeConverters.toFloat,
    )
    sampleRows: Any = param(
        "sampleRows",
        "random rows whose marginal likelihood the hyper-parameters maximize (>= 10)",
        TypeConverters.toInt,
    )

    _length_scales = ("median", "evidence")
    _model_class: ClassVar[type[GaussianProcessModel]] = GaussianProcessModel

    @constructor
    def __init__(
        self,
        *,
        method: str = "sparse",
        numCenters: int = 500,
        centerMethod: str = "uniform",
        centers: Sequence[Sequence[float]] | None = None,
        expertRows: int = 1000,
        sampleRows: int = 1000,
        validationFraction: float = 0.1,
        kernel: str = "rbf",
        lengthScale: float | str = "evidence",
        nu: float = 1.5,
        degree: int = 1,
        standardization: bool = True,
        missing: str = "error",
        stdCol: str = "predictionStd",
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

    # -- before any job -------------------------------------------------------------------

    def _check_params(self, spark: SparkSession) -> None:
        check_option("method", self.getOrDefault(self.method), METHODS)
        check_option("kernel", self.getOrDefault(self.kernel), ("rbf", "matern"))
        settings = self._kernel_settings()
        if settings.kernel == "matern" and settings.nu not in _MATERN:
            raise ConfigurationError(
                "invalid_param", f"nu must be 0.5, 1.5 or 2.5. Got {settings.nu!r}."
            )
        self._center_settings()
        if self.getOrDefault(self.method) == "committee" and self.isSet(self.centers):
            raise ConfigurationError(
                "conflicting_params",
                "A committee has no centers: its experts share rows, with their labels.",
                "Set numCenters, or method='sparse'.",
            )
        check_number("expertRows", self.getOrDefault(self.expertRows), 1)
        check_number("sampleRows", self.getOrDefault(self.sampleRows), 10)
        share = self.getOrDefault(self.validationFraction)
        if not 0 <= share < 1:
            raise ConfigurationError(
                "invalid_param", f"validationFraction must be >= 0 and < 1. Got {share!r}."
            )
        if (memory := self._value(self.memoryPerTask)) is not None:
            parse_size(memory, "memoryPerTask")

    def _check_data(self, data: PartitionedDataset) -> None:
        centers = self._center_settings()
        impute = self._kernel_settings().impute
        check_rows(data, 0 if centers.given is not None else centers.number, impute=impute)

    def _plan(self, data: PartitionedDataset) -> dict[str, Any]:
        centers = self._center_settings()
        names = ("method", "expertRows", "sampleRows", "validationFraction", "seed")
        return {
            "class": type(self).__name__,
            "data": data.manifest.content_sha256,
            "kernel": vars(self._kernel_settings()),
            "centers": [
                centers.number,
                centers.method,
                None if centers.given is None else centers.given.tolist(),
            ],
            **{name: self.getOrDefault(self.getParam(name)) for name in names},
        }

    # -- the fit --------------------------------------------------------------------------

    def _fit_shards(
        self, spark: SparkSession, data: PartitionedDataset, folder: Folder
    ) -> GaussianProcessModel:
        started = time.perf_counter()
        settings, seed = self._kernel_settings(), self.getOrDefault(self.seed)
        source, method = ShardRows(data, spark), self.getOrDefault(self.method)
        scaling = fitted_scaling(source, settings)
        family = settings.plain(1.0)
        learnt = source.sample(
            self.getOrDefault(self.sampleRows),
            seed,
            partial(_hyperparameters, settings, scaling, family),
        )
        scales = learnt["length_scales"]
        inner = replace(scaling, scale=scaling.scale * scales)
        summary: dict[str, Any] = {"sample_evidence": float(learnt["log_evidence"])}
        if method == "sparse":
            unit = replace(settings, length_scale=1.0)
            found = centered(source, unit, self._center_settings(), seed, scaling=inner)
            signal, noise, files, facts = self._sparse(source, found, folder)
        else:
            variance, mean = float(learnt["variance"]), float(learnt["mean"])
            signal, noise = (variance * float(learnt[n]) for n in ("signal", "noise"))
            given = family, tuple(data.schema.category_counts()), signal, noise
            files, facts = self._committee(ShardRows(data, spark), folder, inner, mean, given)
        summary |= facts
        summary |= {
            "signal": signal,
            "noise": noise,
            "rows": data.n_rows,
            "seconds": round(time.perf_counter() - started, 3),
        }
        content = {
            "method": method,
            "kernel": family.to_dict(),
            "length_scales": scales.tolist(),
            "signal": signal,
            "noise": noise,
        }
        return self._model_class(folder, data.schema, data.manifest.label, files, content, summary)

    def _sparse(
        self, source: RowSource, found: Centered, folder: Folder
    ) -> tuple[float, float, list[ModelFile], dict[str, Any]]:
        share, seed = self.getOrDefault(self.validationFraction), self.getOrDefault(self.seed)
        targets = Targets(0, Validation(share, seed) if share else None)
        features = NystroemMap.of(found)
        sums = source.add(moments_of_block, (features, targets))
        moments, calibration = RidgeMoments.of(sums), Calibration(1.0, None, 0)
        if moments.weight <= 0:
            raise no_rows()
        if share:
            learnt = fitted_posterior(moments)
            counts = source.add(residuals_of_block, (features, targets, learnt))["counts"]
            calibration = Calibration.of(counts)
            moments = moments + RidgeMoments.of(sums, "held_")
        posterior = fitted_posterior(moments)
        assert features.whitening is not None
        files = write_machine(
            folder,
            found,
            (features.whitening @ posterior.coefficients)[:, None],
            np.array([posterior.mean]),
            spread=features.whitening @ posterior.spread,
            calibration=np.array([calibration.factor]),
        )
        facts = {
            "bound": posterior.bound,
            "centers": len(found.centers),
            "calibration": calibration.factor,
            "held_out_cover": calibration.cover,
        }
        return posterior.signal, posterior.noise, files, facts

    def _committee(
        self,
        source: ShardRows,
        folder: Folder,
        scaling: Scaling,
        mean: float,
        given: tuple[Kernel, tuple[int, ...], float, float],
    ) -> tuple[list[ModelFile], dict[str, Any]]:
        seed, number = self.getOrDefault(self.seed), self.getOrDefault(self.numCenters)
        shared = source.sample(number, seed, partial(_shared, scaling, mean))
        # All experts are asked about each held-out row.
        share = min(self.getOrDefault(self.validationFraction), _MOST_HELD / source.data.n_rows)
        most, last = self.getOrDefault(self.expertRows), float(shared["last"])
        files, sizes = write_experts(
            source.spark, source.data, folder, scaling, mean, most, seed, last, 1 - share
        )
        files += write_arrays(
            folder,
            shared_rows=shared["rows"],
            shared_targets=shared["targets"],
            intercept=np.array([mean]),
            **scaling_arrays(scaling),
        )
        calibration = Calibration(1.0, None, 0)
        if share and last < 1 - share:
            scorer = CommitteeScorer(folder, tuple(files), *given)
            counts = source.add(residuals_of_draws, (scorer, seed, 1 - share))["counts"]
            calibration = Calibration.of(counts)
        files += write_arrays(folder, calibration=np.array([calibration.factor]))
        facts = {
            "experts": len(sizes),
            "expert_rows": sizes,
            "centers": len(shared["rows"]),
            "calibration": calibration.factor,
            "held_out_cover": calibration.cover,
        }
        return files, facts


def _shared(scaling: Scaling, mean: float, rows: SampledRows) -> Summands:
    """Return the rows that all experts share, scaled, and their centred targets."""
    return {"rows": scaling.apply(rows.X), "targets": rows.y - mean, "last": rows.last}


def _hyperparameters(
    settings: KernelSettings, scaling: Scaling, family: Kernel, rows: SampledRows
) -> Summands:
    """Return the most likely hyper-parameters of a sample, and the sample's standardized rows."""
    X, mean, variance = scaling.apply(rows.X), float(rows.y.mean()), float(rows.y.var())
    if variance <= 0:
        raise DataError(
            "one_class",
            f"The label is {mean:g} in all {len(rows):,} rows that were drawn.",
            "A Gaussian process needs a label that varies.",
        )
    y = (rows.y - mean) / np.sqrt(variance)
    start = settings.length_scale
    if isinstance(start, str):
        start = median_distance(X, family.norm)
    found = most_likely(X, y, family, start, fixed=settings.length_scale != "evidence")
    return {
        "length_scales": found.length_scales,
        "signal": found.signal,
        "noise": found.noise,
        "log_evidence": found.log_evidence,
        "mean": mean,
        "variance": variance,
    }
