"""The trials of an algorithm selection as a leaderboard, and what is not part of the model."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from sparkml_dist.metrics.scores import is_better
from sparkml_dist.search.engine import Engine
from sparkml_dist.search.trial_table import trial_rows

__all__ = ["leaderboard_rows", "what_was_left"]


def leaderboard_rows(
    engine: Engine, metric: str, weights: Mapping[int, float]
) -> list[dict[str, Any]]:
    """Return a row for each trial, the best first; those without a score last.

    Parameters
    ----------
    engine : Engine
    metric : str
    weights : mapping of int to float
        Weight of each trial in the ensemble.
    """
    rows = [
        {
            "trial": row["number"],
            "family": row["estimator"],
            "params": _short(row["params"]),
            "score": row["score"],
            "scores": {k: v for k, v in row["scores"].items() if math.isfinite(v)},
            "weight": weights.get(row["number"], 0.0),
            "state": row["state"],
            "reason": row["reason"],
            "resource": row["resource"],
            "seconds": row["seconds"],
            "peakRssMb": row["peakRssMb"],
        }
        for row in trial_rows(engine.records, engine.jobs, metric)
    ]
    larger = is_better(metric, 1.0, 0.0)

    def place(row: dict[str, Any]) -> tuple[float, int]:
        score = row["score"]
        if score is None or not math.isfinite(score):
            return (math.inf, row["trial"])
        return (-score if larger else score, row["trial"])

    rows.sort(key=place)
    for row in rows:
        if row["score"] is not None and not math.isfinite(row["score"]):
            row["score"] = None
    return rows


def what_was_left(
    dropped: Mapping[str, str],
    families: Mapping[str, str],
    rows: Sequence[Mapping[str, Any]],
) -> list[tuple[str, str]]:
    """Return what is not part of the model, and why.

    Parameters
    ----------
    dropped : mapping of str to str
        Columns.
    families : mapping of str to str
        Families.
    rows : sequence of mapping
        Of the leaderboard.
    """
    found = [(f"column {name}", reason) for name, reason in dropped.items()]
    found += [(f"family {name}", reason) for name, reason in families.items()]
    for row in rows:
        if row["state"] not in ("done", "deadline"):
            name = f"trial {row['trial']} ({row['family']})"
            found.append((name, f"{row['state']}: {row['reason']}"))
    return found


def _short(params: Mapping[str, Any]) -> str:
    """Return parameters as JSON without the names of a pipeline's steps."""
    return json.dumps({k.rpartition("__")[2]: v for k, v in params.items()})
