"""Names of the objectives that models of boosters may have."""

from __future__ import annotations

__all__ = ["OBJECTIVES", "UnknownObjectiveError", "check_objective"]

_NAMES = {
    "xgboost": (
        "binary:hinge binary:logistic binary:logitraw count:poisson multi:softmax multi:softprob "
        "rank:map rank:ndcg rank:pairwise reg:absoluteerror reg:expectileerror reg:gamma "
        "reg:linear reg:logistic reg:pseudohubererror reg:quantileerror reg:squarederror "
        "reg:squaredlogerror reg:tweedie survival:aft survival:cox"
    ),
    "lightgbm": (
        "binary cross_entropy cross_entropy_lambda custom fair gamma huber lambdarank mape "
        "multiclass multiclassova poisson quantile rank_xendcg regression regression_l1 "
        "tweedie"
    ),
    "catboost": (
        "CrossEntropy Expectile Focal Huber LogCosh LogLinQuantile Logloss Lq MAE MAPE MultiClass "
        "MultiClassOneVsAll MultiQuantile Poisson Quantile RMSE RMSEWithUncertainty "
        "Tweedie"
    ),
}
OBJECTIVES = {package: frozenset(names.split()) for package, names in _NAMES.items()}


class UnknownObjectiveError(ValueError):
    """A model has an objective that this package does not know."""


def check_objective(package: str, name: str) -> None:
    """Raise `UnknownObjectiveError` unless a model's objective is one of its package's."""
    if name not in OBJECTIVES[package]:
        raise UnknownObjectiveError(
            f"the objective {str(name)[:60]!r} is not one of {package}'s: "
            f"{', '.join(sorted(OBJECTIVES[package]))}"
        )
