"""The record of a trial's rung, as it is committed and shown."""

from __future__ import annotations

from typing import Any

__all__ = ["new_record"]


def new_record(trial: int, rung: int, resource: int, **given: Any) -> dict[str, Any]:
    """Return the record of a rung, with nothing measured yet.

    Its fields: ``state`` (``"done"``, ``"failed"``, ``"timeout"``, ``"memory"``, ``"killed"`` or
    ``"deadline"``), ``reason`` and ``trace`` where it is not done, ``scores`` by metric,
    ``part_scores`` by metric and held-out part, ``seconds`` of fits, ``predict_seconds``,
    ``peak_rss_mb`` (most resident MiB of a process that fitted it, with the rows that it shares
    with others), ``bytes`` of the fitted learners, ``rows`` learnt from, ``scored_rows``,
    ``warnings``, ``members`` (records of those that are kept) and ``fits`` (members fitted in this
    rung).
    """
    return {
        "trial": trial,
        "rung": rung,
        "resource": resource,
        "state": "done",
        "reason": "",
        "trace": "",
        "scores": {},
        "part_scores": {},
        "seconds": 0.0,
        "predict_seconds": 0.0,
        "peak_rss_mb": 0.0,
        "bytes": 0,
        "rows": 0,
        "scored_rows": 0,
        "warnings": [],
        "members": [],
        "fits": 1,
        **given,
    }
