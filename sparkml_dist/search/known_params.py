"""The names of the parameters that a search may set on a learner."""

from __future__ import annotations

import inspect
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
        return _with_unset(learner)
    found: dict[str, Any] = {}
    for param in getattr(learner, "params", []):
        held: Any = learner.getOrDefault(param) if learner.isDefined(param) else None
        found[param.name] = held
        if hasattr(held, "get_params") and not isinstance(held, type):
            inner = _with_unset(held).items()
            found |= {f"{param.name}__{name}": value for name, value in inner}
    return found


def _with_unset(learner: Any) -> dict[str, Any]:
    """Return a learner's parameters, with those that CatBoost names only once they are set."""
    found = dict(learner.get_params(deep=True))
    inner = [(f"{name}__", value) for name, value in found.items() if hasattr(value, "get_params")]
    for prefix, one in [("", learner), *inner]:
        if isinstance(one, type):
            continue
        for name, parameter in inspect.signature(type(one)).parameters.items():
            if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                default = None if parameter.default is parameter.empty else parameter.default
                found.setdefault(f"{prefix}{name}", default)
    return found
