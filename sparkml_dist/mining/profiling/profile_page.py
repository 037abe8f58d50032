"""A profile as an HTML page: an overview with a line per column, and details on demand."""

from __future__ import annotations

from collections import Counter
from typing import Any

from sparkml_dist.report.html import render

__all__ = ["profile_fragment", "profile_page"]

#: Columns per collapsible section of the page; the first is open.
_FOLD = 100
_SHOWN_IN_NOTEBOOK = 50
_STRONG = 0.5
_MATRIX = 40
_PACKAGE = "sparkml_dist.mining.profiling"
_KINDS = {
    "number": "numeric",
    "boolean": "boolean",
    "date": "date",
    "timestamp": "time",
    "text": "text",
    "binary": "binary",
    "lengths": "array or map",
    "nested": "nested",
}


def profile_page(profile: dict[str, Any]) -> str:
    """Return a profile (`Profile.to_dict`) as a self-contained HTML page."""
    columns = [_with_known_values(c) for c in profile["columns"]]
    alerts = [(c["name"], alert) for c in columns for alert in c["alerts"]]
    kinds = Counter(_KINDS[c["kind"]] for c in columns)
    names, r = profile["correlations"]["columns"], profile["correlations"]["pearson"]
    pairs = _strong_pairs(r)
    shown = list(range(len(names)))
    if len(names) > _MATRIX:
        shown = list(dict.fromkeys(k for i, j in pairs for k in (j, i)))[:_MATRIX]
    return render(
        "profile.html",
        _PACKAGE,
        title="Profile",
        rows=profile["rows"],
        target=profile["target"],
        summary={"uncorrelated": 0, **profile["summary"]},
        columns=columns,
        folds=[columns[i : i + _FOLD] for i in range(0, len(columns), _FOLD)],
        kinds=kinds.most_common(),
        missing=sum(c["missing"] for c in columns),
        # Leaks first: they do the most harm.
        alerts=sorted(alerts, key=lambda t: not t[1].startswith("may leak")),
        correlated=len(names),
        strong=_STRONG,
        pairs=[(names[j], names[i], r[i][j]) for i, j in pairs],
        matrix=[(names[i], [r[i][j] for j in shown[:k]]) for k, i in enumerate(shown)],
    )


def profile_fragment(profile: dict[str, Any]) -> str:
    """Return the overview of a profile (`Profile.to_dict`) as an HTML fragment for notebooks."""
    columns = profile["columns"]
    return render(
        "profile_fragment.html",
        _PACKAGE,
        rows=profile["rows"],
        n_columns=len(columns),
        columns=[_with_known_values(c) for c in columns[:_SHOWN_IN_NOTEBOOK]],
    )


def _with_known_values(column: dict[str, Any]) -> dict[str, Any]:
    """Return a column with the frequent values whose counts are known within a factor of 2."""
    frequent = column.get("frequent", [])
    return {**column, "known": [v for v in frequent if 2 * v["count"] >= v["count_at_most"]]}


def _strong_pairs(r: list[list[float | None]]) -> list[tuple[int, int]]:
    """Return the positions below the diagonal of strong correlations, the strongest first."""
    sizes = {
        (i, j): abs(value)
        for i, row in enumerate(r)
        for j, value in enumerate(row[:i])
        if value is not None and abs(value) >= _STRONG
    }
    return sorted(sizes, key=lambda pair: -sizes[pair])
