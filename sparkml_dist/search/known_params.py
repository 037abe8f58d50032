"""The names of the parameters that a search may set on a learner."""

from __future__ import annotations

from typing import Any

__all__ = ["known_params"]


def known_params(learner: Any) -> list[str]:
    """Return the names of a learner's parameters, sorted, those of learners inside it included.

    Parameters
    ----------
    learner : estimator
        With scikit-learn's ``get_params`` (``step__param`` for what is inside), or an estimator of
        Spark's, whose Params may hold learners (``estimator__max_depth``).
    """
    if hasattr(learner, "get_params"):
        return sorted(learner.get_params(deep=True))
    names = []
    for param in getattr(learner, "params", []):
        names.append(param.name)
        held: Any = learner.getOrDefault(param) if learner.isDefined(param) else None
        if hasattr(held, "get_params") and not isinstance(held, type):
            names += [f"{param.name}__{inner}" for inner in held.get_params(deep=True)]
    return sorted(names)
