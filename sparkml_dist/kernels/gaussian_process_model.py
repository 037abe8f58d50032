"""Fitted Gaussian processes: a normal distribution for each row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.ml.param import TypeConverters

from sparkml_dist.cluster.iterator_udf import iterator_udf
from sparkml_dist.cluster.joined_batches import joined_batches
from sparkml_dist.cluster.threads import limit_threads
from sparkml_dist.dataset.column_names import check_outputs, with_outputs
from sparkml_dist.kernels.functions.families import kernel_from_dict
from sparkml_dist.kernels.functions.kernel import Kernel
from sparkml_dist.kernels.process.committee_scorer import CommitteeScorer
from sparkml_dist.kernels.process.sparse_scorer import SparseScorer
from sparkml_dist.models.regression_model import ShardRegressionModel
from sparkml_dist.models.scoring import check_feature_columns, loaded
from sparkml_dist.params import AccessibleParams, param
from sparkml_dist.persistence.fields import one_of
from sparkml_dist.report.fitted_model import FittedModel
from sparkml_dist.session import SessionInfo

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["METHODS", "GaussianProcessModel", "HasStdCol"]

#: How a Gaussian process is approximated.
METHODS = ("sparse", "committee")
_ROWS_AT_ONCE = 4096
_MADE = "_sparkml_dist_normal"


class HasStdCol(AccessibleParams):
    """The column of standard deviations."""

    stdCol: Any = param(
        "stdCol",
        "column for the standard deviation of a new observation; an empty name omits it",
        TypeConverters.toString,
    )


class GaussianProcessModel(FittedModel, ShardRegressionModel, HasStdCol):
    """The model of `GaussianProcess`; ``transform`` adds the mean and the standard deviation.

    Attributes
    ----------
    kernel : Kernel
    lengthScales : ndarray of float64
        Of each feature; of each category of a feature that has some.
    summary : dict
        ``signal`` and ``noise`` (variances), ``bound`` (on the log marginal likelihood of all rows,
        of a sparse process), ``calibration`` (the factor on its standard deviations) and
        ``held_out_cover`` (the share of held-out rows within 1.96 of them before), ``centers`` or
        ``experts``, ``sample_evidence``, ``seconds``.
    """

    _defaults: ClassVar[dict[str, Any]] = {"stdCol": "predictionStd"}

    @property
    def kernel(self) -> Kernel:
        """The family of the kernel; `lengthScales` are part of the scaling."""
        return kernel_from_dict(self.content["kernel"])

    @property
    def lengthScales(self) -> npt.NDArray[np.float64]:
        """The length scale of each coordinate, in units of standardized features if there are."""
        return np.asarray(self.content["length_scales"], np.float64)

    def _scorer(self) -> SparseScorer | CommitteeScorer:
        method = one_of(self.content["method"], "method", METHODS)
        kind: Any = SparseScorer if method == "sparse" else CommitteeScorer
        signal, noise = float(self.content["signal"]), float(self.content["noise"])
        if not (signal > 0 and noise > 0):
            raise ValueError("variances must be > 0")
        counts = tuple(self.schema.category_counts())
        found: SparseScorer | CommitteeScorer = kind(
            self.folder, self.files, self.kernel, counts, signal, noise
        )
        return found

    def _check_restored(self) -> None:
        self._scorer().distribution()

    def predict(self, rows: Any) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return means and standard deviations of rows in memory, without Spark.

        Parameters
        ----------
        rows : array-like, shape (n, numFeatures)

        Returns
        -------
        (ndarray of float64, ndarray of float64), each of shape (n,)
            The mean, and the standard deviation of a new observation, noise among it.
        """
        mean, variance = self._scorer().distribution()(np.asarray(rows, np.float64))
        return mean, np.sqrt(variance)

    def _transform(self, dataset: DataFrame) -> DataFrame:
        from pyspark.sql import functions as F

        spread = self.getOrDefault(self.stdCol)
        if not spread:
            return super()._transform(dataset)
        prediction = self.getOrDefault(self.predictionCol)
        check_feature_columns(dataset, self.schema)
        check_outputs(dataset, [prediction, spread], self.label.column)
        schema, scorer = self.schema, self._scorer()
        carried, cores = schema.n_transported, SessionInfo.of(dataset.sparkSession).task_cpus

        def make(batches: Iterator[pa.Array]) -> Iterator[pa.Array]:
            distribution = loaded(f"distribution/{scorer.cache_key}", scorer.distribution)
            with limit_threads(cores):
                for batch in joined_batches(batches, _ROWS_AT_ONCE):
                    rows = schema.encode([batch.field(i) for i in range(carried)])
                    mean, variance = distribution(rows)
                    yield pa.StructArray.from_arrays(
                        [pa.array(mean), pa.array(np.sqrt(variance))], ["mean", "std"]
                    )

        made = iterator_udf(make, "mean: double, std: double")(F.struct(*schema.transport()))
        outputs = {prediction: F.col(_MADE)["mean"], spread: F.col(_MADE)["std"]}
        return with_outputs(dataset.select("*", made.alias(_MADE)), outputs, temporary=[_MADE])
