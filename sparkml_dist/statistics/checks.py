"""Refuses data that a model cannot be fitted to, with the columns that are the reason."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.cluster.sums.layout import Arrays
from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.statistics.design import INTERCEPT, Design
from sparkml_dist.statistics.factor import Pivots
from sparkml_dist.statistics.families import Family

__all__ = [
    "check_moments",
    "check_pivots",
    "check_squares",
    "constant_columns",
    "invalid_means",
    "runaway",
    "separated",
]

Array = npt.NDArray[np.float64]

_SHOWN = 5
# Newton steps shrink fast near a maximum. Where there is none, a coefficient grows by the same step
# again and again.
_SAME_STEP, _GROWTH, _LEAST_STEP = 0.8, 0.02, 1e-3
# A column without variance but for rounding: relative to its mean.
_NO_VARIANCE = 1e-13


def check_moments(found: Arrays, family: Family, label: str) -> None:
    """Raise for targets that the family cannot have, or for no rows.

    Raises
    ------
    DataError
        ``label_infinite``, ``target_not_of_family``, ``no_training_rows``, ``missing_values``, or
        ``perfect_separation`` where all targets are 0 of a family whose means are above that.
    """
    if found["not_finite"]:
        raise DataError(
            "label_infinite",
            f"The label {label!r} is not finite in {int(found['not_finite']):,} row(s).",
            "Drop or correct the rows.",
        )
    if found["invalid"]:
        raise DataError(
            "target_not_of_family",
            f"The family {family.name!r} needs targets {family.domain}; the label {label!r} has "
            f"{int(found['invalid']):,} other value(s).",
            "Choose another family, or correct the rows.",
        )
    if found["offsets"]:
        raise DataError(
            "missing_values",
            f"The offset is missing or infinite in {int(found['offsets']):,} row(s).",
            "Fill it in, or drop those rows.",
        )
    if not found["weight"] > 0:
        raise DataError(
            "no_training_rows",
            "No row with a weight is left to learn from.",
            "Check weights, and rows that are left out for missing values.",
        )
    if found["y"] == 0 and family.name in ("poisson", "negative_binomial", "tweedie"):
        raise DataError(
            "perfect_separation",
            f"The label {label!r} is 0 in all rows: the smaller the means, the greater the "
            "likelihood, which has no maximum.",
            "Check the label, and which rows are left.",
        )


def check_squares(terms: list[str], squares: Array) -> None:
    """Raise for columns whose squares float64 does not hold.

    Raises
    ------
    DataError
        ``infinite_feature``, with the columns.
    """
    over = [terms[i] for i in np.flatnonzero(~np.isfinite(squares))]
    if over:
        raise DataError(
            "infinite_feature",
            f"The squares of {len(over)} column(s) are outside the range of float64: "
            f"{_listing(over)}.",
            "Divide the column by a constant, such as its greatest absolute value.",
        )


def constant_columns(design: Design, found: Arrays, centred: Array) -> list[int]:
    """Return the columns without variance (the intercept aside), where there is an intercept.

    Parameters
    ----------
    design : Design
    found : dict of ndarray
        Sums of a `Moments` pass.
    centred : ndarray of shape (p,)
        Mean squares of the columns around their means.
    """
    if not design.intercept:
        return []
    mean = found["x"] / found["weight"]
    flat = centred <= (_NO_VARIANCE * np.abs(mean)) ** 2
    flat[0] = False
    return [int(i) for i in np.flatnonzero(flat)]


def check_pivots(design: Design, flat: list[int], pivots: Pivots, *, drop: bool) -> tuple[int, ...]:
    """Return the columns to leave out; raise where there are some and they may not be dropped.

    Raises
    ------
    DataError
        ``constant_feature`` or ``collinear_features``, with the columns.
    """
    terms = design.terms
    none = sorted({*flat, *pivots.zero})
    gone = sorted({*none, *pivots.dependent})
    if not gone:
        return ()
    if drop:
        return tuple(gone)
    hint = "Leave them out, or set dropCollinear=True."
    if none:
        raise DataError(
            "constant_feature",
            f"{len(none)} column(s) have no variance: {_listing([terms[i] for i in none])}.",
            hint,
        )
    shown = [_equation(terms, j, parts) for j, parts in list(pivots.dependent.items())[:_SHOWN]]
    more = len(pivots.dependent) - len(shown)
    raise DataError(
        "collinear_features",
        f"{len(pivots.dependent)} column(s) are linear combinations of others: "
        f"{'; '.join(shown)}{f'; and {more} more' if more else ''}.",
        hint,
    )


def _equation(terms: list[str], j: int, parts: dict[int, float]) -> str:
    if not parts:
        return f"{terms[j]!r} has no variance"
    some = sorted(parts.items(), key=lambda item: -abs(item[1]))[:_SHOWN]
    text = " + ".join(f"{c:.4g}·{terms[i]}" for i, c in some if terms[i] != INTERCEPT)
    more = " + …" if len(parts) > _SHOWN else ""
    return f"{terms[j]} = {text or 'a constant'}{more}"


def _listing(names: list[str]) -> str:
    shown = ", ".join(repr(n) for n in names[:_SHOWN])
    return shown + (", …" if len(names) > _SHOWN else "")


def runaway(
    step: Array, before: Array, beta: Array, deviations: Array, decrement: float, iteration: int
) -> list[int]:
    """Return the coefficients that grow without end, where the likelihood has no maximum.

    Parameters
    ----------
    step, before : ndarray of shape (p,)
        A Newton step, and the one before it.
    beta : ndarray of shape (p,)
        Coefficients.
    deviations : ndarray of shape (p,)
        Standard deviations of the columns; 1 for the intercept.
    decrement : float
        Square of the step in standard errors.
    iteration : int

    Returns
    -------
    list of int
        The fastest first; empty where there is a maximum.
    """
    if iteration < 8 or not decrement < 0.1:
        return []
    size = np.abs(step) * deviations
    grows = np.abs(step) >= np.maximum(_SAME_STEP * np.abs(before), _GROWTH * np.abs(beta))
    found = np.flatnonzero(grows & (size > _LEAST_STEP))
    return [int(j) for j in found[np.argsort(-size[found])]]


def separated(terms: list[str], family: Family, label: str) -> DataError:
    """Return the error of a model whose likelihood has no maximum.

    Parameters
    ----------
    terms : list of str
        Whose coefficients grow, the fastest first.
    family : Family
    label : str
    """
    named = [t for t in terms if not t.endswith(INTERCEPT)] or terms
    if family.name == "binomial":
        what = "classes are separated perfectly, or nearly so"
    elif family.name == "cox":
        what = "events are put in order perfectly, or nearly so"
    else:
        what = f"rows have {label!r} at the end of its range, all of them"
    one = len(named) == 1
    return DataError(
        "perfect_separation",
        f"The coefficient{'' if one else 's'} of {_listing(named)} "
        f"{'grows' if one else 'grow'} without end: by {'it' if one else 'them'} {what}, so that "
        "the likelihood has no maximum.",
        "Leave that column out, join rare categories, or set alpha > 0 for a penalty.",
    )


def invalid_means(family: Family, count: Any) -> ConfigurationError:
    """Return the error of a link whose means leave the family's domain."""
    return ConfigurationError(
        "link_not_of_family",
        f"With the link {family.link.name!r}, {int(count):,} row(s) get means that the family "
        f"{family.name!r} cannot have, however short the step.",
        'Use a link that keeps means in range, such as "log" or "logit".',
    )
