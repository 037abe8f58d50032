"""Learners that go on from a fitted copy of themselves: more trees or rounds, none fitted twice."""

from __future__ import annotations

from typing import Any

from sparkml_dist.learners.known_learner import KnownLearner

__all__ = ["GoingOn", "can_go_on", "going_on"]

# By the package of a learner: the argument of ``fit`` for the fitted copy, and the parameters that
# are then how many more; scikit-learn's ensembles have ``warm_start`` and take how many in all.
_PACKAGES = {
    "xgboost": ("xgb_model", ("n_estimators",)),
    "lightgbm": ("init_model", ("n_estimators",)),
    "catboost": ("init_model", ("iterations", "n_estimators")),
}
_SKLEARN = ("n_estimators", "max_iter")


def can_go_on(known: KnownLearner, parameter: str) -> bool:
    """Tell whether a learner can go on from a smaller value of a parameter to a larger one."""
    learner = known.learner
    if known.form != "array" or known.by_class or parameter not in learner.get_params(deep=False):
        return False
    package = type(learner).__module__
    if package.startswith("sklearn.ensemble."):
        return parameter in _SKLEARN and "warm_start" in learner.get_params(deep=False)
    return parameter in _PACKAGES.get(package.partition(".")[0], ("", ()))[1]


def going_on(fresh: Any, fitted: Any, parameter: str, before: int) -> Any:
    """Return a learner whose ``fit`` goes on from a fitted copy.

    Parameters
    ----------
    fresh : scikit-learn estimator
        Unfitted, with the larger value of the parameter.
    fitted : scikit-learn estimator
        Fitted with the smaller one, on the same rows.
    parameter : str
        One with which `can_go_on`.
    before : int
        The smaller value.
    """
    value = fresh.get_params(deep=False)[parameter]
    package = type(fresh).__module__.partition(".")[0]
    if package == "sklearn":
        return fitted.set_params(**{parameter: value, "warm_start": True})
    argument = _PACKAGES[package][0]
    return GoingOn(fresh.set_params(**{parameter: value - before}), argument, fitted)


class GoingOn:
    """A learner of which only ``fit`` is called; its result is `learner`.

    Parameters
    ----------
    learner : scikit-learn estimator
    argument : str
        Keyword of its ``fit``.
    fitted : object
        Value of that.
    """

    def __init__(self, learner: Any, argument: str, fitted: Any) -> None:
        self.learner = learner
        self._given = {argument: fitted}

    def fit(self, X: Any, y: Any, **more: Any) -> GoingOn:
        """Fit the learner from where the other one has ended."""
        self.learner.fit(X, y, **more, **self._given)
        return self
