"""The names of the parameters that a search may set on a learner."""

from __future__ import annotations

from typing import Any

__all__ = ["known_params", "own_params"]


def known_params(learner: Any) -> list[str]:
    """Return the names of a learner's parameters, sorted, those of learners inside it included.

    Parameters
    ----------
    learner : estimator
        With scikit-learn's ``get_params`` (``step__param`` for what is inside), or an estimator of
        Spark's, whose Params may hold learners (``estimator__max_depth``).
    """
    return sorted(own_params(learner))


def own_params(learner: Any) -> dict[str, Any]:
    """Return the values of a learner's parameters by name, None where a Param has none."""
    if hasattr(learner, "get_params"):
        return dict(learner.get_params(deep=True))
    found: dict[str, Any] = {}
    for param in getattr(learner, "params", []):
        held: Any = learner.getOrDefault(param) if learner.isDefined(param) else None
        found[param.name] = held
        if hasattr(held, "get_params") and not isinstance(held, type):
            inner = held.get_params(deep=True).items()
            found |= {f"{param.name}__{name}": value for name, value in inner}
    return found
