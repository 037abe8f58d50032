"""Params, facts and scores as what MLflow stores: texts, numbers, and numbers by step."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

__all__ = ["Point", "params_of", "points_of", "text_of"]

_LONGEST = 500
_MOST_PARAMS = 400
#: Largest number of points of a curve; a longer one is thinned out evenly.
_MOST_STEPS = 500
# Lists of records, by the name of one of them.
_SINGULAR = {"members": "member", "ranks": "rank", "rounds": "round", "stages": "stage"}


class Point(NamedTuple):
    """A number at a step: of an epoch, a member, or 0 for one of the whole fit."""

    name: str
    value: float
    step: int = 0


def text_of(value: Any) -> str:
    """Return a value as text of one line: a function by its name, an object as it shows itself."""
    if isinstance(value, list | tuple):
        text = f"[{', '.join(text_of(v) for v in value)}]"
    elif callable(value) and hasattr(value, "__qualname__"):
        text = f"{value.__module__}.{value.__qualname__}"
    else:
        text = " ".join(str(value).split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def params_of(estimator: Any) -> dict[str, str]:
    """Return the Params of an estimator, and the plain parameters of the learners they hold.

    Parameters
    ----------
    estimator : Params

    Returns
    -------
    dict of str to str
        Such as ``{"numMembers": "10", "estimator.max_depth": "3"}``.
    """
    found: dict[str, str] = {}
    for param in estimator.params:
        if not estimator.isDefined(param):
            continue
        value = estimator.getOrDefault(param)
        found[param.name] = text_of(value)
        for name, learner in _learners(param.name, value):
            found |= {f"{name}.{key}": text_of(v) for key, v in _settings(learner)}
    return {_legal(name): value for name, value in list(found.items())[:_MOST_PARAMS]}


def _learners(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if hasattr(value, "get_params") and not isinstance(value, type):
        yield name, value
    elif isinstance(value, list | tuple):
        for item in value:
            if isinstance(item, tuple) and len(item) == 2 and hasattr(item[1], "get_params"):
                yield f"{name}.{item[0]}", item[1]


def _settings(learner: Any) -> Iterator[tuple[str, Any]]:
    for key, value in learner.get_params(deep=True).items():
        if value is None or isinstance(value, str | numbers.Number):
            yield key, value


def points_of(summary: Mapping[str, Any], prefix: str = "") -> list[Point]:
    """Return all numbers of a model's summary.

    Parameters
    ----------
    summary : mapping
        ``history`` is a dict of lists by epoch; ``members`` and the like are lists of dicts.
    prefix : str
        Put before each name.

    Returns
    -------
    list of Point
        ``seconds.fit`` at step 0, ``loss`` at each epoch (from 1), ``member.seconds`` at each
        member (from 0), ``loss.member_002`` at each epoch of a member.
    """
    found: list[Point] = []
    for key, value in summary.items():
        name = f"{prefix}{key}"
        if _is_number(value):
            found.append(Point(_legal(name), float(value)))
        elif key == "history" and isinstance(value, Mapping):
            for metric, curve in value.items():
                found += _curve(f"{prefix}{metric}", curve, 1)
        elif isinstance(value, Mapping):
            found += points_of(value, f"{name}.")
        elif isinstance(value, list) and value:
            if isinstance(value[0], Mapping):
                found += _records(f"{prefix}{_SINGULAR.get(str(key), key)}", value)
            else:
                found += _curve(name, value, 1)
    return found


def _records(name: str, records: Sequence[Mapping[str, Any]]) -> list[Point]:
    """Return the numbers of records of one kind, by their number."""
    found: list[Point] = []
    keys = [k for k, v in records[0].items() if _is_number(v)]
    for key in keys:
        found += _curve(f"{name}.{key}", [r.get(key) for r in records], 0)
    for number, record in enumerate(records[:_MOST_STEPS]):
        history = record.get("history")
        if isinstance(history, Mapping):
            for metric, curve in history.items():
                found += _curve(f"{metric}.{name}_{number:03d}", curve, 1)
    return found


def _curve(name: str, values: Any, first: int) -> list[Point]:
    if not isinstance(values, list | tuple):
        return []
    step = math.ceil(len(values) / _MOST_STEPS)
    at = sorted({*range(0, len(values), step or 1), len(values) - 1} - {-1})
    return [Point(_legal(name), float(values[i]), i + first) for i in at if _is_number(values[i])]


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _legal(name: str) -> str:
    """Return a name in the characters that MLflow allows."""
    return "".join(c if c.isalnum() or c in "_-. :/" else "_" for c in name)[:250]
