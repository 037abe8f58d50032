"""The space of a search as JSON: to compare searches, and to save them."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping
from typing import Any

from sparkml_dist.errors import ConfigurationError

__all__ = ["described", "from_json", "to_json"]

_PLAIN = (bool, int, float, str, type(None))


def described(space: Any) -> Any:
    """Return JSON values that are equal for equal spaces.

    Distributions are described by name and arguments, functions by their source.
    """
    if isinstance(space, Mapping):
        return {str(k): described(v) for k, v in space.items()}
    if isinstance(space, str | bytes):
        return repr(space)
    if _is_frozen(space):
        arguments = [repr(a) for a in space.args]
        named = {k: repr(v) for k, v in sorted(space.kwds.items())}
        return {"distribution": space.dist.name, "args": arguments, "kwds": named}
    if callable(space) and not hasattr(space, "get_params"):
        name = getattr(space, "__qualname__", type(space).__name__)
        try:
            source = inspect.getsource(space)
        except (OSError, TypeError):
            source = name
        return f"{name}/{hashlib.sha256(source.encode()).hexdigest()[:16]}"
    if isinstance(space, list | tuple | range) or type(space).__module__ == "numpy":
        try:
            return [described(v) for v in space]
        except TypeError:
            return repr(space)
    return repr(space)


def to_json(space: Any) -> Any:
    """Return a space as JSON values, for `from_json`.

    Raises
    ------
    ConfigurationError
        ``param_not_saved`` for a function, or a value that JSON lacks.
    """
    if isinstance(space, Mapping):
        return {"dict": {str(k): to_json(v) for k, v in space.items()}}
    if _is_frozen(space):
        arguments = [_plain(a) for a in space.args]
        named = {k: _plain(v) for k, v in space.kwds.items()}
        return {"scipy": space.dist.name, "args": arguments, "kwds": named}
    if type(space).__module__.startswith("optuna.distributions"):
        from optuna.distributions import distribution_to_json

        return {"optuna": distribution_to_json(space)}
    if isinstance(space, list | tuple | range) or type(space).__module__ == "numpy":
        several = [to_json(v) if isinstance(v, Mapping) else {"value": _plain(v)} for v in space]
        return {"list": several}
    return {"value": _plain(space)}


def _plain(value: Any) -> Any:
    if type(value).__module__ == "numpy" and getattr(value, "shape", None) == ():
        value = value.item()
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, list | tuple):
        return (
            {"tuple": [_plain(v) for v in value]}
            if isinstance(value, tuple)
            else [_plain(v) for v in value]
        )
    raise ConfigurationError(
        "param_not_saved",
        f"The space holds {value!r}, which cannot be saved.",
        "Use numbers and text in lists, or distributions of SciPy and Optuna. The fitted model "
        "can be saved in any case.",
    )


def from_json(value: Any) -> Any:
    """Return the space of `to_json`; raise KeyError, TypeError or ValueError for other values.

    Only distributions of SciPy's are looked up by name.
    """
    ((kind, content), *others) = value.items()
    if kind == "dict":
        return {str(k): from_json(v) for k, v in content.items()}
    if kind == "list":
        return [from_json(v) for v in content]
    if kind == "value":
        return _restored(content)
    if kind == "optuna":
        from optuna.distributions import json_to_distribution

        return json_to_distribution(content)
    if kind != "scipy":
        raise ValueError(f"{kind!r} is no part of a space")
    from scipy import stats

    distribution = vars(stats).get(str(content))
    if not isinstance(distribution, stats.rv_continuous | stats.rv_discrete):
        raise ValueError(f"scipy.stats has no distribution {content!r}")
    rest = dict(others)
    named = {str(k): _restored(v) for k, v in rest["kwds"].items()}
    return distribution(*[_restored(a) for a in rest["args"]], **named)


def _restored(value: Any) -> Any:
    if isinstance(value, dict):
        return tuple(_restored(v) for v in value["tuple"])
    if isinstance(value, list):
        return [_restored(v) for v in value]
    if not isinstance(value, _PLAIN):
        raise TypeError(f"{value!r} is no value of a space")
    return value


def _is_frozen(value: Any) -> bool:
    """Tell whether a value is a frozen distribution of SciPy's."""
    return hasattr(value, "dist") and hasattr(value, "kwds") and hasattr(value, "args")
