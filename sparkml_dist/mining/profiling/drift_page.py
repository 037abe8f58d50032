"""A drift report as a page: columns that moved most, first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sparkml_dist.mining.profiling.column_summary import cumulative
from sparkml_dist.mining.profiling.svg import bars, code, decimals, page, share

if TYPE_CHECKING:
    from sparkml_dist.mining.profiling.drift import DriftReport

__all__ = ["drift_fragment", "drift_page"]

_FOLD = 100
_BINS = 24
_NOTE = (
    '<p class="q">PSI, the population stability index: from 0.1 some drift, from 0.25 much. '
    "Distance: Kolmogorov-Smirnov of numbers, total variation of texts. Both pictures of a "
    "column have one scale from left to right.</p>"
)


def drift_page(report: DriftReport) -> str:
    """Return a report as a self-contained page."""
    columns = report.columns
    moved = sum(c["level"] != "none" for c in columns)
    body = [
        "<h1>Drift</h1>",
        f'<div class="q">{report.current.rows:,} rows against {report.reference.rows:,}; '
        f"{moved:,} of {len(columns):,} columns moved.</div>",
        _lists(report),
        _NOTE,
    ]
    for start in range(0, len(columns), _FOLD):
        table = _table(report, columns[start : start + _FOLD])
        if len(columns) > _FOLD:
            end = min(start + _FOLD, len(columns))
            table = (
                f'<details class="page"{"" if start else " open"}><summary>{start + 1:,} to '
                f"{end:,}</summary>{table}</details>"
            )
        body.append(table)
    return page("Drift", "".join(body))


def drift_fragment(report: DriftReport) -> str:
    """Return the columns that moved most as a fragment for notebooks."""
    table = _table(report, report.columns[:30])
    told = f"<div><strong>Drift</strong>{_lists(report)}{_NOTE}{table}</div>"
    return told.encode("ascii", "xmlcharrefreplace").decode()


def _lists(report: DriftReport) -> str:
    told = ""
    for title, names in (
        ("Only in the reference", report.gone),
        ("Only in the current table", report.new),
        ("Of another kind now", report.changed),
    ):
        if names:
            shown = ", ".join(code(n) for n in names[:50])
            more = f" and {len(names) - 50:,} more" if len(names) > 50 else ""
            told += f"<div>{title}: {shown}{more}</div>"
    return told


def _table(report: DriftReport, columns: list[dict[str, Any]]) -> str:
    heads = (
        ("column", "30%", ""),
        ("PSI", "9%", "n"),
        ("distance", "9%", "n"),
        ("missing", "16%", "n"),
        ("reference", "18%", ""),
        ("current", "18%", ""),
    )
    head = "".join(f'<th class="{c}" style="width:{w}">{name}</th>' for name, w, c in heads)
    from sparkml_dist.mining.profiling.drift import by_name

    old, new = by_name(report.reference.columns), by_name(report.current.columns)
    rows = "".join(_row(c, old[c["name"]], new[c["name"]]) for c in columns)
    return f'<table class="wide"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _row(column: dict[str, Any], old: dict[str, Any], new: dict[str, Any]) -> str:
    name = code(column["name"])
    if column["level"] != "none":
        name += f' <span class="tag">{column["level"]}</span>'
    was, now = (share(c["missing"], c["rows"]) for c in (old, new))
    missing = was if was == now else f"{was} → {now}"
    distance = column.get("ks", column.get("distance"))
    pictures = _pictures(old, new)
    cells = (
        ("", name),
        ("n", decimals(column["psi"])),
        ("n", "–" if distance is None else decimals(distance)),
        ("n", missing),
        ("", pictures[0]),
        ("", pictures[1]),
    )
    content = "".join(f'<td class="{c}">{cell}</td>' for c, cell in cells)
    return f'<tr class="c">{content}</tr>'


def _pictures(old: dict[str, Any], new: dict[str, Any]) -> tuple[str, str]:
    """Return both distributions over the same bins."""
    shares: list[list[float]]
    if "distribution" in old and "distribution" in new:
        least, most = min(old["min"], new["min"]), max(old["max"], new["max"])
        edges = 2 * np.linspace(least / 2, most / 2, _BINS + 1)[1:]
        edges[-1] = most
        shares = [
            np.diff(cumulative(c["distribution"], edges), prepend=0.0).clip(0).tolist()
            for c in (old, new)
        ]
    elif "frequent" in old and old["kind"] in ("text", "binary"):
        names = list(dict.fromkeys(v["value"] for c in (old, new) for v in c["frequent"]))[:_BINS]
        found = [{v["value"]: v["count"] for v in c["frequent"]} for c in (old, new)]
        shares = [[float(f.get(name, 0)) for name in names] for f in found]
    else:
        return "", ""
    drawn = [
        bars(s, 160, 30, title, colour)
        for s, title, colour in zip(shares, ("reference", "current"), (0, 1), strict=True)
    ]
    return drawn[0], drawn[1]
