"""Drift between two tables, column by column."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from sparkml_dist.mining.profiling.column_summary import cumulative
from sparkml_dist.mining.profiling.drift_page import drift_fragment, drift_page
from sparkml_dist.mining.profiling.profile import Profile, profile
from sparkml_dist.report.html import finished_page

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["DriftReport", "by_name", "drift"]

_BINS = 10
#: Least share of a bin in the index: an empty bin would make it infinite.
_LEAST = 1e-4
#: The usual thresholds of the population stability index.
_SOME, _MUCH = 0.1, 0.25


@dataclass(frozen=True)
class DriftReport:
    """The drift of each column between two tables.

    Attributes
    ----------
    columns : list of dict
        For each column of both tables, the largest drift first: ``name``, ``kind``, ``psi``
        (population stability index over tenths of the reference or over values, with missing as one
        more bin), ``ks`` (Kolmogorov-Smirnov distance, for numbers), ``distance`` (total variation,
        for values), ``missing`` (shares in the reference and the current table) and ``level``
        (``none``, ``some`` from 0.1, ``much`` from 0.25).
    gone, new, changed : list of str
        Columns that only the reference has, that only the current table has, and whose kind
        differs.
    reference, current : Profile
    """

    columns: list[dict[str, Any]]
    gone: list[str]
    new: list[str]
    changed: list[str]
    reference: Profile = field(repr=False)
    current: Profile = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values, without the profiles."""
        return {
            "rows": {"reference": self.reference.rows, "current": self.current.rows},
            "columns": self.columns,
            "gone": self.gone,
            "new": self.new,
            "changed": self.changed,
        }

    def to_html(self, path: str | None = None) -> str:
        """Return the report as a self-contained HTML page; write it to `path` if given."""
        return finished_page(drift_page(self.to_dict(), *self._columns()), path)

    def _repr_html_(self) -> str:
        return drift_fragment(self.to_dict(), *self._columns())

    def _columns(self) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
        return by_name(self.reference.columns), by_name(self.current.columns)


def drift(reference: DataFrame | Profile, current: DataFrame | Profile) -> DriftReport:
    """Compare two tables by their profiles; a DataFrame is profiled first, in one pass.

    Parameters
    ----------
    reference, current : pyspark.sql.DataFrame or Profile

    Returns
    -------
    DriftReport

    Raises
    ------
    DataError
        ``no_columns``, ``empty_data``.

    Notes
    -----
    The Kolmogorov-Smirnov distance has an error of about 0.01 (0.03 beyond 1,000 columns). Values
    that are not among the 32 most frequent of either table count as one value.
    """
    before, now = (
        table if isinstance(table, Profile) else profile(table, top=32, maxCorrelated=0)
        for table in (reference, current)
    )
    old, new = by_name(before.columns), by_name(now.columns)
    both = [name for name in old if name in new]
    changed = [name for name in both if old[name]["kind"] != new[name]["kind"]]
    compared = [_compare(name, old[name], new[name]) for name in both if name not in changed]
    compared.sort(key=lambda c: -c["psi"])
    return DriftReport(
        compared,
        [name for name in old if name not in new],
        [name for name in new if name not in old],
        changed,
        before,
        now,
    )


def by_name(columns: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return columns by their names; the second column of a name is ``name (2)``."""
    named: dict[str, dict[str, Any]] = {}
    for column in columns:
        name, n = column["name"], 1
        while name in named:
            n += 1
            name = f"{column['name']} ({n})"
        named[name] = column
    return named


def _compare(name: str, old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"name": name, "kind": old["kind"], "psi": 0.0}
    found["missing"] = [c["missing"] / c["rows"] for c in (old, new)]
    if "distribution" in old and "distribution" in new:
        shares = _tenths(old, new)
        found["ks"] = _greatest_gap(old["distribution"], new["distribution"])
    elif "frequent" in old and old["kind"] in ("text", "binary"):
        shares = _values(old, new)
        found["distance"] = float(np.abs(shares[0] - shares[1]).sum() / 2)
    else:
        shares = np.empty((2, 0))
    absent = np.array([[_absent(c)] for c in (old, new)])
    shares = np.hstack([shares * (1 - absent), absent])
    found["psi"] = _psi(shares)
    found["level"] = (
        "much" if found["psi"] >= _MUCH else "some" if found["psi"] >= _SOME else "none"
    )
    return found


def _greatest_gap(old: dict[str, Any], new: dict[str, Any]) -> float:
    """Return the greatest distance of two distribution functions."""
    at = np.union1d(old["values"], new["values"])
    # At a jump of one function, the distance may be greatest just before.
    gaps = [cumulative(old, at, side=s) - cumulative(new, at, side=s) for s in ("left", "right")]
    return float(np.abs(gaps).max())


def _absent(column: dict[str, Any]) -> float:
    """Return the share of rows without a comparable value."""
    odd = column.get("nan", 0) + column.get("infinite", 0)
    return float((column["missing"] + odd) / column["rows"])


def _tenths(old: dict[str, Any], new: dict[str, Any]) -> np.ndarray[Any, Any]:
    """Return the shares of both in bins of a tenth of the old numbers each, shape (2, bins)."""
    values = np.array(old["distribution"]["values"])
    below = np.array(old["distribution"]["below"])
    places = np.minimum(np.searchsorted(below, np.arange(1, _BINS) / _BINS), len(values) - 1)
    # With bins below the least and above the greatest, so that a shifted constant is drift.
    edges = np.unique(np.append(values[places], [np.nextafter(values[0], -np.inf), values[-1]]))
    found = [cumulative(c["distribution"], edges) for c in (old, new)]
    return np.array([np.diff(shares, prepend=0.0, append=1.0) for shares in found])


def _values(old: dict[str, Any], new: dict[str, Any]) -> np.ndarray[Any, Any]:
    """Return the shares of the frequent values of either, and of all other values together."""
    counts = [{v["value"]: v["count"] for v in c["frequent"]} for c in (old, new)]
    names = sorted({*counts[0], *counts[1]})
    shares = [
        [found.get(name, 0) / max(column["count"], 1) for name in names]
        for found, column in zip(counts, (old, new), strict=True)
    ]
    return np.array([[*s, max(1 - sum(s), 0.0)] for s in shares])


def _psi(shares: np.ndarray[Any, Any]) -> float:
    p, q = np.maximum(shares, _LEAST)
    # A bin that is empty in both adds nothing: both shares are the least share.
    return float(np.sum((q - p) * np.log(q / p)))
