"""The records of trials that the plots of a search are made of."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Trials", "is_number", "parameter_names", "parameter_values", "with_scores"]

Trials = Sequence[Mapping[str, Any]]
"""Trials as dicts: ``number``, ``params`` (a dict), ``score`` (None or NaN if it failed), and for
some plots ``estimator``, ``seconds``, ``rungs`` (of dicts with ``resource`` and ``score``) or
``scores`` (by metric)."""


def with_scores(trials: Trials) -> list[Mapping[str, Any]]:
    """Return the trials with a finite score, by number."""
    able = [t for t in trials if t.get("score") is not None and math.isfinite(t["score"])]
    return sorted(able, key=lambda t: t["number"])


def parameter_names(trials: Trials) -> list[str]:
    """Return the names of parameters with two values or more, as first met.

    The name of the learner is one, ``"estimator"``, where trials have several.
    """
    names = list(dict.fromkeys(n for t in trials for n in ("estimator", *t["params"])))
    return [n for n in names if len({repr(v) for v in parameter_values(trials, n)}) > 1]


def parameter_values(trials: Trials, name: str) -> list[Any]:
    """Return the value of a parameter in each trial, None where it has none."""
    if name == "estimator":
        return [t["params"].get(name, t.get("estimator")) for t in trials]
    return [t["params"].get(name) for t in trials]


def is_number(value: Any) -> bool:
    """Tell whether a value of a parameter is a finite number, and no bool."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def scores_of(trials: Trials) -> npt.NDArray[np.float64]:
    """Return the score of each trial, shape (n_trials,)."""
    return np.array([t["score"] for t in trials], dtype=np.float64)
