"""Trials as rows of a table: one for each trial, with what its highest rung gave."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sparkml_dist.search.sequencer import Job

__all__ = ["TRIAL_SCHEMA", "milliseconds_per_row", "params_json", "peak_rss_mb", "trial_rows"]

#: Columns of the table of trials.
TRIAL_SCHEMA = (
    "number int, estimator string, params string, state string, reason string, rung int, "
    "resource long, score double, scores map<string, double>, seconds double, peakRssMb double, "
    "bytes long, millisecondsPerRow double"
)


def params_json(params: Mapping[str, Any]) -> str:
    """Return parameters as JSON; a value that JSON lacks is written as Python shows it."""
    return json.dumps(dict(params), default=_plain, sort_keys=True)


def _plain(value: Any) -> Any:
    item = getattr(value, "item", None)  # of numpy's numbers
    return item() if callable(item) and getattr(value, "shape", None) == () else repr(value)


def milliseconds_per_row(record: Mapping[str, Any]) -> float | None:
    """Return how long the members of a trial take to predict a row, one after another."""
    if not record["scored_rows"]:
        return None
    return float(1000.0 * record["predict_seconds"] / record["scored_rows"])


def peak_rss_mb(records: Iterable[Mapping[str, Any]]) -> float:
    """Return the most resident MiB of a process that fitted one of some records' trials."""
    return max((float(r.get("peak_rss_mb", 0.0)) for r in records), default=0.0)


def trial_rows(
    records: Mapping[tuple[int, int], dict[str, Any]],
    jobs: Mapping[tuple[int, int], Job],
    metric: str,
) -> list[dict[str, Any]]:
    """Return a row for each trial, in the order of their numbers; see `TRIAL_SCHEMA`.

    ``rungs`` lists the trial's records: ``rung``, ``resource``, ``state``, ``score``,
    ``seconds``, and ``fits`` (members).
    """
    rows: list[dict[str, Any]] = []
    for trial in sorted({t for t, _ in records}):
        reached = sorted(rung for t, rung in records if t == trial)
        own = [records[trial, rung] for rung in reached]
        done = [r for r in own if r["state"] == "done"]
        shown = done[-1] if done else own[-1]
        setting = jobs[trial, reached[-1]].setting
        rows.append(
            {
                "number": trial,
                "estimator": setting.estimator,
                "params": json.loads(params_json(setting.params)),
                "state": own[-1]["state"],
                "reason": own[-1]["reason"],
                "trace": own[-1]["trace"],
                "rung": shown["rung"],
                "resource": shown["resource"],
                "score": shown["scores"].get(metric),
                "scores": shown["scores"],
                "part_scores": shown["part_scores"],
                "seconds": round(sum(r["seconds"] for r in own), 6),
                "peakRssMb": peak_rss_mb(own),
                "bytes": shown["bytes"],
                "millisecondsPerRow": milliseconds_per_row(shown),
                "warnings": shown["warnings"],
                "rungs": [
                    {
                        "rung": r["rung"],
                        "resource": r["resource"],
                        "state": r["state"],
                        "score": r["scores"].get(metric),
                        "seconds": r["seconds"],
                        "fits": r["fits"],
                    }
                    for r in own
                ],
            }
        )
    return rows
