"""Forests: random ones, and extremely randomised trees."""

from __future__ import annotations

from typing import Any

from sparkml_dist.automl.families.family import Family, Situation
from sparkml_dist.search.dimensions import Floating, Integer

__all__ = ["extra_trees", "random_forest"]

# More are a little better, and take as much longer to fit, to store and to score.
_TREES = 100


def extra_trees(situation: Situation) -> Family:
    """Return extremely randomised trees."""
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

    kind = ExtraTreesRegressor if situation.is_regression else ExtraTreesClassifier
    return _forest("extra_trees", kind, situation)


def random_forest(situation: Situation) -> Family:
    """Return random forests."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    kind = RandomForestRegressor if situation.is_regression else RandomForestClassifier
    return _forest("random_forest", kind, situation)


def _forest(name: str, kind: Any, situation: Situation) -> Family:
    root = min(1.0, max(situation.features**-0.5, 1e-3))
    usual = 1.0 if situation.is_regression else root

    def setting(features: float, leaf: int) -> dict[str, Any]:
        return {"max_features": features, "min_samples_leaf": leaf, **situation.no_class_weights}

    return Family(
        name,
        situation.prepared(kind(n_estimators=_TREES), "tree"),
        {
            "max_features": Floating(min(root, 0.5) / 2, 1.0, log=True),
            "min_samples_leaf": Integer(1, 64, log=True),
            **situation.class_weights,
        },
        # The defaults, and values near those of AutoGluon's portfolio for forests.
        [setting(usual, 1), setting(min(1.0, 3 * root), 5), setting(0.75, 2)],
        cost=1.0,
    )
