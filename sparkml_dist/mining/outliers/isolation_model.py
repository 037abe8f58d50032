"""The model of an isolation forest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sparkml_dist.cluster.iterator_udf import iterator_udf
from sparkml_dist.cluster.joined_batches import joined_batches
from sparkml_dist.cluster.threads import limit_threads
from sparkml_dist.mining.outliers.isolation_scorer import IsolationScorer
from sparkml_dist.mining.outliers.isolation_trees import IsolationTrees
from sparkml_dist.mining.outliers.outlier_params import OutlierModel
from sparkml_dist.mining.point_columns import point_matrix
from sparkml_dist.models.loading import Saved
from sparkml_dist.persistence.arrays import check_array

if TYPE_CHECKING:
    from pyspark.sql import Column

__all__ = ["IsolationForestModel"]

_ROWS_AT_ONCE, _VALUES_AT_ONCE = 65_536, 1 << 22


class IsolationForestModel(OutlierModel):
    """The trees that `IsolationForest` grew.

    ``transform`` adds the score (``scoreCol``, in (0, 1)) and ``predictionCol``: 1.0 where the
    score is above `threshold`.
    """

    @property
    def trees(self) -> IsolationTrees:
        """The trees, as arrays."""
        return IsolationTrees(
            self.arrays.get("features"),
            self.arrays.get("normals"),
            self.arrays["thresholds"],
            self.arrays["paths"],
        )

    def _read_files(self, saved: Saved) -> None:
        super()._read_files(saved)
        check_array(self.arrays, "paths", (None, None))
        trees, size = self.arrays["paths"].shape
        # A heap has a power of two elements.
        check_array(self.arrays, "thresholds", (trees, 1 << max(1, size.bit_length() - 1)))
        check_array(self.arrays, "paths", self.arrays["thresholds"].shape)
        if "normals" in self.arrays:
            check_array(self.arrays, "normals", (trees, size, self.numFeatures))
        else:
            check_array(self.arrays, "features", (trees, size), below=self.numFeatures)

    @property
    def numMembers(self) -> int:
        """Number of trees."""
        return len(self.arrays["paths"])

    def score(self, rows: Any) -> Any:
        """Return the scores of rows in memory, shape (n, d), without Spark."""
        return IsolationScorer(self.trees, self.content["samples"])(rows)

    def _score(self) -> Column:
        trees, samples = self.trees, self.content["samples"]
        width = self.numFeatures

        least = max(1, min(_ROWS_AT_ONCE, _VALUES_AT_ONCE // width))

        def predict(batches: Iterator[pa.Array]) -> Iterator[pa.Array]:
            scores = IsolationScorer(trees, samples)
            with limit_threads(1):
                for batch in joined_batches(batches, least):
                    yield pa.array(scores(point_matrix(batch, width)))

        return iterator_udf(predict, "double")(self.columns.column())

    def __repr__(self) -> str:
        return (
            f"IsolationForestModel({self.numMembers} trees of {self.content['samples']} rows, "
            f"{self.numFeatures} features, threshold {self.threshold:.4g})"
        )
