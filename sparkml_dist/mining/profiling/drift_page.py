"""A drift report as an HTML page, the columns with the largest drift first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sparkml_dist.mining.profiling.column_summary import cumulative
from sparkml_dist.report.html import render

__all__ = ["drift_fragment", "drift_page"]

_FOLD = 100
_SHOWN_IN_NOTEBOOK = 30
_BINS = 24
_PACKAGE = "sparkml_dist.mining.profiling"

#: Columns of a profile by their names.
_Columns = Mapping[str, dict[str, Any]]


def drift_page(report: dict[str, Any], reference: _Columns, current: _Columns) -> str:
    """Return a report (`DriftReport.to_dict`) as a self-contained HTML page.

    Parameters
    ----------
    report : dict
    reference, current : dict of dict
        Columns of both profiles by their names.
    """
    columns = _with_pictures(report["columns"], reference, current)
    return render(
        "drift.html",
        _PACKAGE,
        title="Drift",
        report=report,
        moved=sum(c["level"] != "none" for c in columns),
        folds=[columns[i : i + _FOLD] for i in range(0, len(columns), _FOLD)],
    )


def drift_fragment(report: dict[str, Any], reference: _Columns, current: _Columns) -> str:
    """Return the columns with the largest drift as an HTML fragment for notebooks."""
    columns = _with_pictures(report["columns"][:_SHOWN_IN_NOTEBOOK], reference, current)
    return render("drift_fragment.html", _PACKAGE, report=report, columns=columns)


def _with_pictures(
    columns: list[dict[str, Any]], reference: _Columns, current: _Columns
) -> list[dict[str, Any]]:
    return [{**c, "pictures": _pictures(reference[c["name"]], current[c["name"]])} for c in columns]


def _pictures(old: dict[str, Any], new: dict[str, Any]) -> list[list[float]]:
    """Return both distributions over the same bins."""
    if "distribution" in old and "distribution" in new:
        least, most = min(old["min"], new["min"]), max(old["max"], new["max"])
        edges = 2 * np.linspace(least / 2, most / 2, _BINS + 1)[1:]
        edges[-1] = most
        return [
            np.diff(cumulative(c["distribution"], edges), prepend=0.0).clip(0).tolist()
            for c in (old, new)
        ]
    if "frequent" in old and old["kind"] in ("text", "binary"):
        names = list(dict.fromkeys(v["value"] for c in (old, new) for v in c["frequent"]))[:_BINS]
        found = [{v["value"]: v["count"] for v in c["frequent"]} for c in (old, new)]
        return [[float(f.get(name, 0)) for name in names] for f in found]
    return [[], []]
