"""The k nearest neighbours."""

from __future__ import annotations

from sparkml_dist.automl.families.family import Family, Situation
from sparkml_dist.search.dimensions import Integer

__all__ = ["neighbors"]


def neighbors(situation: Situation) -> Family:
    """Return nearest neighbours on scaled features."""
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

    kind = KNeighborsRegressor if situation.is_regression else KNeighborsClassifier
    most = max(2, min(100, situation.rows // 3))

    def setting(k: int, weights: str, p: int) -> dict[str, object]:
        return {
            "learner__n_neighbors": min(k, most),
            "learner__weights": weights,
            "learner__p": p,
        }

    return Family(
        "neighbors",
        situation.prepared(kind(), "neighbors"),
        {
            "learner__n_neighbors": Integer(1, most, log=True),
            "learner__weights": ["uniform", "distance"],
            "learner__p": [1, 2],
        },
        [setting(8, "distance", 2), setting(20, "distance", 1), setting(4, "distance", 2)],
        cost=0.5,
    )
