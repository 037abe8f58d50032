"""Fitted clusters in the space of a kernel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.ml.param.shared import HasPredictionCol

from sparkml_dist.cluster.iterator_udf import iterator_udf
from sparkml_dist.cluster.joined_batches import joined_batches
from sparkml_dist.cluster.threads import limit_threads
from sparkml_dist.dataset.column_names import check_outputs, with_output
from sparkml_dist.kernels.clusters.embedding import Embedding
from sparkml_dist.kernels.clusters.lloyd import nearest
from sparkml_dist.kernels.feature_model import KernelSpaceModel
from sparkml_dist.kernels.nystroem_map import NystroemMap
from sparkml_dist.models.scoring import check_feature_columns
from sparkml_dist.persistence.arrays import check_array
from sparkml_dist.session import SessionInfo

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["KernelClustersModel"]

_ROWS_AT_ONCE = 4096


class KernelClustersModel(KernelSpaceModel, HasPredictionCol):
    """The model of `KernelKMeans` and `SpectralClustering`.

    ``transform`` adds `predictionCol` (int): the number of the cluster, from 0, the largest first.

    Attributes
    ----------
    summary : dict
        ``inertia``, ``iterations``, ``converged``, ``centers``, ``length_scale``, ``seconds``.
    """

    _defaults: ClassVar[dict[str, Any]] = {"predictionCol": "prediction"}

    @property
    def numClusters(self) -> int:
        """Number of clusters."""
        return len(self.arrays["clusters"])

    @property
    def clusterSizes(self) -> list[int]:
        """Number of training rows of each cluster, descending."""
        return [int(n) for n in self.arrays["sizes"]]

    def _embedding(self) -> Embedding:
        features = NystroemMap(
            self.kernel, self.scaling, self.arrays["centers"], self.arrays["whitening"]
        )
        return Embedding(features, self.arrays.get("total"), self.arrays.get("directions"))

    def _check_arrays(self) -> None:
        arrays = self.arrays
        check_array(arrays, "centers", (None, self.scaling.width))
        check_array(arrays, "whitening", (len(arrays["centers"]), None))
        width = arrays["whitening"].shape[1]
        if "directions" in arrays:
            check_array(arrays, "total", (width,))
            check_array(arrays, "directions", (width, None))
            width = arrays["directions"].shape[1]
        check_array(arrays, "clusters", (None, width))
        check_array(arrays, "sizes", (len(arrays["clusters"]),))

    def predict(self, rows: Any) -> npt.NDArray[np.int64]:
        """Return the clusters of rows in memory, shape (n, numFeatures), without Spark."""
        points = self._embedding().points(np.asarray(rows, np.float64))
        return nearest(points, self.arrays["clusters"])[0]

    def _transform(self, dataset: DataFrame) -> DataFrame:
        from pyspark.sql import functions as F

        check_feature_columns(dataset, self.schema)
        schema, embedding, clusters = self.schema, self._embedding(), self.arrays["clusters"]
        carried, cores = schema.n_transported, SessionInfo.of(dataset.sparkSession).task_cpus

        def label(batches: Iterator[pa.Array]) -> Iterator[pa.Array]:
            with limit_threads(cores):
                for batch in joined_batches(batches, _ROWS_AT_ONCE):
                    rows = schema.encode([batch.field(i) for i in range(carried)])
                    found = nearest(embedding.points(rows), clusters)[0]
                    yield pa.array(found, pa.int32())

        output = self.getOrDefault(self.predictionCol)
        check_outputs(dataset, [output])
        made = iterator_udf(label, "int")(F.struct(*schema.transport()))
        return with_output(dataset, output, made)

    def __repr__(self) -> str:
        return f"KernelClustersModel({self.numClusters:,} clusters, {self.kernel!r})"
