"""Base of the estimators of centers: their Params, and the model they return."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pyspark.ml.param import TypeConverters

from sparkml_dist.errors import DataError
from sparkml_dist.mining.clusters.candidate_scores import CandidateScores
from sparkml_dist.mining.clusters.centers_model import CentersModel
from sparkml_dist.mining.point_estimator import PointEstimator
from sparkml_dist.params import param

if TYPE_CHECKING:
    from sparkml_dist.mining.point_columns import PointColumns

__all__ = ["CentersEstimator", "check_enough"]


class CentersEstimator(PointEstimator):
    """Base of the estimators whose clusters are given by centers."""

    k: Any = param("k", "number of clusters (>= 1)", TypeConverters.toInt)
    seed: Any = param("seed", "seed of all random draws", TypeConverters.toInt)

    def _check(self) -> None:
        self._require(self.k, self.getOrDefault(self.k) >= 1, "at least 1")

    def _centers_model(
        self,
        columns: PointColumns,
        centers: npt.NDArray[np.float64],
        scores: CandidateScores,
        metric: str,
        summary: dict[str, Any],
    ) -> CentersModel:
        order = np.argsort(-scores.sizes, kind="stable")
        model = CentersModel(
            columns=columns,
            content={"width": centers.shape[1], "metric": metric},
            arrays={"centers": centers[order], "sizes": scores.sizes[order]},
            summary={"rows": int(scores.sizes.sum()), "k": len(centers), **summary},
        )
        model._resetUid(self.uid)
        fitted: CentersModel = self._copyValues(model)
        return fitted


def check_enough(found: int, wanted: int) -> None:
    """Raise where there are fewer distinct rows than clusters.

    Raises
    ------
    DataError
        ``too_few_rows``.
    """
    if found < wanted:
        raise DataError(
            "too_few_rows",
            f"{wanted} clusters were asked for, but there are {found} distinct rows to start from.",
            "Ask for fewer clusters.",
        )
