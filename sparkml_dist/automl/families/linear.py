"""Linear models."""

from __future__ import annotations

from sparkml_dist.automl.families.family import Family, Situation
from sparkml_dist.search.dimensions import Floating

__all__ = ["linear"]


def linear(situation: Situation) -> Family:
    """Return logistic or ridge regression on scaled features."""
    from sklearn.linear_model import LogisticRegression, Ridge

    if situation.is_regression:
        return Family(
            "linear",
            situation.prepared(Ridge(), "linear"),
            {"learner__alpha": Floating(1e-3, 1e4, log=True)},
            [{"learner__alpha": 1.0}, {"learner__alpha": 100.0}],
            cost=0.2,
        )
    weights = {f"learner__{k}": v for k, v in situation.class_weights.items()}
    none = {f"learner__{k}": v for k, v in situation.no_class_weights.items()}
    return Family(
        "linear",
        situation.prepared(LogisticRegression(max_iter=200), "linear"),
        {"learner__C": Floating(1e-4, 1e2, log=True), **weights},
        [{"learner__C": 1.0, **none}, {"learner__C": 0.02, **none}],
        cost=0.5,
    )
