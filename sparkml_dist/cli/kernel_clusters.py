"""Scores of clusters against true ones, on held-out rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sparkml_dist.cli.clusters import adjusted_rand

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["ClusterMetrics", "evaluate_clusters"]


@dataclass(frozen=True)
class ClusterMetrics:
    """Scores of clusters.

    Attributes
    ----------
    rows : int
    adjusted_rand : float
        Agreement with the true clusters: 1 is equal, 0 is by chance.
    """

    rows: int
    adjusted_rand: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return the scores by name."""
        return {"adjusted_rand": self.adjusted_rand}


def evaluate_clusters(model: Any, test: DataFrame, label: str) -> ClusterMetrics:
    """Compare the clusters of rows with those that a column names.

    Parameters
    ----------
    model : Model
        With an output ``prediction``.
    test : pyspark.sql.DataFrame
    label : str
    """
    labelled = model.transform(test)
    return ClusterMetrics(test.count(), adjusted_rand(labelled, label))
