"""Gradient boosting: scikit-learn's, and that of LightGBM, XGBoost and CatBoost.

Settings to begin with are the libraries' defaults, and values near the first ones of the portfolio
in Erickson et al. (2020), "AutoGluon-Tabular: robust and accurate AutoML for structured data", and
of the defaults in Wang et al. (2021), "FLAML: a fast and lightweight AutoML library".
"""

from __future__ import annotations

from typing import Any

from sparkml_dist.automl.families.family import Family, Situation
from sparkml_dist.search.dimensions import Floating, Integer

__all__ = ["catboost", "hist_gradient_boosting", "lightgbm", "xgboost"]

#: Rounds at most; a tenth of the rows tells when to stop.
_ROUNDS, _PATIENCE = 1_000, 30
_ROUNDS_OF_MANY_CLASSES = 300
_LEAST_ROUNDS = 40
#: Rows × features that a core takes in a second for a tree, and the seconds of a tree besides.
_CELLS, _TREE_SECONDS = 3e8, 1e-3


def _rounds(situation: Situation, speed: float = 1.0) -> int:
    """Return the number of rounds at most: fewer where there is no time for more.

    Parameters
    ----------
    situation : Situation
    speed : float
        Of the library, in units of LightGBM's.
    """
    most = _ROUNDS if situation.classes <= 5 else _ROUNDS_OF_MANY_CLASSES
    if situation.seconds is None:
        return most
    trees = situation.classes if situation.classes > 2 else 1
    each = trees * (_TREE_SECONDS + situation.rows * situation.features / _CELLS)
    return max(_LEAST_ROUNDS, min(most, int(situation.seconds * speed / each)))


def hist_gradient_boosting(situation: Situation) -> Family:
    """Return scikit-learn's histogram boosting."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    is_regression = situation.is_regression
    kind = HistGradientBoostingRegressor if is_regression else HistGradientBoostingClassifier
    learner = kind(
        max_iter=_rounds(situation, 0.7) if situation.can_stop else 100,
        early_stopping=situation.can_stop,
        n_iter_no_change=_PATIENCE // 2,
        validation_fraction=0.1,
    )

    def setting(rate: float, leaves: int, leaf: int, l2: float, features: float) -> dict[str, Any]:
        return {
            "learning_rate": rate,
            "max_leaf_nodes": leaves,
            "min_samples_leaf": leaf,
            "l2_regularization": l2,
            "max_features": features,
            **situation.no_class_weights,
        }

    return Family(
        "hist_gradient_boosting",
        learner,
        {
            "learning_rate": Floating(0.01, 0.3, log=True),
            "max_leaf_nodes": Integer(4, 255, log=True),
            "min_samples_leaf": Integer(2, 100, log=True),
            "l2_regularization": Floating(1e-8, 10.0, log=True),
            "max_features": Floating(0.3, 1.0),
            **situation.class_weights,
        },
        [setting(0.1, 31, 20, 1e-8, 1.0), setting(0.05, 63, 8, 1e-2, 0.7)],
        cost=1.5,
    )


def lightgbm(situation: Situation) -> Family:
    """Return LightGBM."""
    from lightgbm import LGBMClassifier, LGBMRegressor

    kind = LGBMRegressor if situation.is_regression else LGBMClassifier
    learner = kind(
        n_estimators=_rounds(situation),
        early_stopping_round=_PATIENCE,
        subsample_freq=1,
        extra_trees=False,
        # By default no group of categories has fewer than 100 rows, which few rows do not allow.
        min_data_per_group=max(5, min(100, situation.rows // 40)),
    )

    def setting(
        rate: float, leaves: int, leaf: int, columns: float, extra: bool = False
    ) -> dict[str, Any]:
        return {
            "learning_rate": rate,
            "num_leaves": leaves,
            "min_child_samples": leaf,
            "colsample_bytree": columns,
            "subsample": 1.0,
            "reg_lambda": 1e-3,
            "extra_trees": extra,
            **situation.no_class_weights,
        }

    return Family(
        "lightgbm",
        learner,
        {
            "learning_rate": Floating(0.01, 0.3, log=True),
            "num_leaves": Integer(4, 255, log=True),
            "min_child_samples": Integer(2, 100, log=True),
            "colsample_bytree": Floating(0.3, 1.0),
            "subsample": Floating(0.5, 1.0),
            "reg_lambda": Floating(1e-3, 100.0, log=True),
            "extra_trees": [False, True],
            **situation.class_weights,
        },
        [
            setting(0.1, 31, 20, 0.9),
            setting(0.05, 128, 3, 0.7),
            setting(0.1, 63, 8, 0.7, extra=True),
            setting(0.03, 15, 40, 0.5),
        ],
        cost=1.0,
    )


def xgboost(situation: Situation) -> Family:
    """Return XGBoost."""
    from xgboost import XGBClassifier, XGBRegressor

    kind = XGBRegressor if situation.is_regression else XGBClassifier
    learner = kind(
        n_estimators=_rounds(situation, 0.7), early_stopping_rounds=_PATIENCE, tree_method="hist"
    )

    def setting(rate: float, depth: int, child: float, columns: float) -> dict[str, Any]:
        return {
            "learning_rate": rate,
            "max_depth": depth,
            "min_child_weight": child,
            "colsample_bytree": columns,
            "subsample": 0.9,
            "reg_lambda": 1.0,
        }

    return Family(
        "xgboost",
        learner,
        {
            "learning_rate": Floating(0.01, 0.3, log=True),
            "max_depth": Integer(2, 12),
            "min_child_weight": Floating(0.1, 100.0, log=True),
            "colsample_bytree": Floating(0.3, 1.0),
            "subsample": Floating(0.5, 1.0),
            "reg_lambda": Floating(1e-3, 100.0, log=True),
        },
        [setting(0.1, 6, 1.0, 0.8), setting(0.05, 10, 0.6, 0.7)],
        cost=1.5,
    )


def catboost(situation: Situation) -> Family:
    """Return CatBoost."""
    from catboost import CatBoostClassifier, CatBoostRegressor

    kind = CatBoostRegressor if situation.is_regression else CatBoostClassifier

    def setting(rate: float, depth: int, l2: float) -> dict[str, Any]:
        return {"learning_rate": rate, "depth": depth, "l2_leaf_reg": l2}

    # It lists the parameters alone that it is given.
    learner = kind(
        iterations=_rounds(situation, 0.3), early_stopping_rounds=_PATIENCE, **setting(0.1, 6, 3.0)
    )

    return Family(
        "catboost",
        learner,
        {
            "learning_rate": Floating(0.01, 0.3, log=True),
            "depth": Integer(4, 10),
            "l2_leaf_reg": Floating(0.5, 30.0, log=True),
        },
        [setting(0.1, 6, 3.0), setting(0.06, 8, 2.8)],
        cost=4.0,
    )
