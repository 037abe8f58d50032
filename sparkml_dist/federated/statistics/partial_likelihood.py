"""The partial likelihood of Cox's model from sums over risk sets.

References
----------
Cox (1972), Journal of the Royal Statistical Society B 34. Breslow (1974), Biometrics 30. Efron
(1977), Journal of the American Statistical Association 72.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from sparkml_dist.federated.statistics.survival_rows import SurvivalRows
from sparkml_dist.federated.statistics.symmetric import packed_size, unpacked

__all__ = ["TIES", "partial_likelihood", "risk_sums"]

Array = npt.NDArray[np.float64]

TIES = ("efron", "breslow")
# Beyond it sums of exponentials leave the range of doubles.
_MOST_ETA = 300.0


def risk_sums(
    parts: Iterable[tuple[SurvivalRows, Array]], times: Array, beta: Array, *, efron: bool
) -> dict[str, Any]:
    """Return sums over the rows at risk at each time.

    Parameters
    ----------
    parts : iterable of (SurvivalRows, ndarray of shape (n, p))
        Rows of blocks, and their columns.
    times : ndarray of shape (t,)
    beta : ndarray of shape (p,)
    efron : bool
        Whether sums over the rows with an event at each time are formed too.

    Returns
    -------
    dict
        ``deaths`` (t,), ``deaths_x`` (p,): events, and the sum of their rows. ``risk0`` (t,),
        ``risk1`` (t, p), ``risk2`` (t, p (p + 1) / 2): sums of exp(x beta) times 1, x, and the
        upper triangle of x x'. ``tied0``, ``tied1``, ``tied2``: the same of rows with an event.
        ``last`` (t + 1,): rows that are at risk at the first 0, 1, … times.
    """
    t, p = len(times), len(beta)
    total = {"risk": np.zeros((t, 1 + p + packed_size(p)))}
    if efron:
        total["tied"] = np.zeros_like(total["risk"])
    deaths, deaths_x = np.zeros(t, np.int64), np.zeros(p)
    last = np.zeros(t + 1, np.int64)
    upper = np.triu_indices(p)
    for rows, x in parts:
        weight = np.exp(np.clip(x @ beta, -_MOST_ETA, _MOST_ETA))
        wide = np.column_stack([np.ones(len(x)), x, x[:, upper[0]] * x[:, upper[1]]])
        wide *= weight[:, None]
        ends, hit = rows.last_at_risk(times), rows.event_rows(times)
        at = rows.event_place(times)
        total["risk"] += _added(ends[ends > 0] - 1, wide[ends > 0], t)
        if efron:
            total["tied"] += _added(at, wide[hit], t)
        deaths += np.bincount(at, minlength=t)
        last += np.bincount(ends, minlength=t + 1)
        deaths_x += x[hit].sum(axis=0)
    # A row is at risk up to its own time.
    total["risk"] = np.cumsum(total["risk"][::-1], axis=0)[::-1]
    found: dict[str, Any] = {"deaths": deaths, "deaths_x": deaths_x, "last": last}
    for name, sums in total.items():
        found[f"{name}0"] = np.ascontiguousarray(sums[:, 0])
        found[f"{name}1"] = np.ascontiguousarray(sums[:, 1 : 1 + p])
        found[f"{name}2"] = np.ascontiguousarray(sums[:, 1 + p :])
    return found


def _added(place: npt.NDArray[np.int64], rows: Array, t: int) -> Array:
    """Return the sums of rows by their places, shape (t, columns)."""
    n = len(place)
    return np.asarray(sp.csr_array((np.ones(n), (place, np.arange(n))), shape=(t, n)) @ rows)


def partial_likelihood(
    sums: Mapping[str, Any], beta: Array, *, efron: bool
) -> tuple[float, Array, Array]:
    """Return the logarithm of the partial likelihood, its gradient, and the information.

    Parameters
    ----------
    sums : mapping
        Of `risk_sums`.
    beta : ndarray of shape (p,)
    efron : bool
        Whether tied events are treated as Efron does; otherwise as Breslow does.
    """
    d = np.asarray(sums["deaths"])
    deaths_x = np.asarray(sums["deaths_x"])
    value, score = float(deaths_x @ beta), deaths_x.copy()
    information = np.zeros((len(beta), len(beta)))
    # The rounds of a tie: the l-th of d events at a time leaves l / d of the tied rows out.
    for step in range(int(d.max(initial=0)) if efron else 1):
        some = d > step
        times = 1.0 if efron else d[some].astype(np.float64)
        share = step / d[some]
        parts = []
        for order in ("0", "1", "2"):
            part = np.asarray(sums[f"risk{order}"])[some]
            if efron:
                left = share if order == "0" else share[:, None]
                part = part - left * np.asarray(sums[f"tied{order}"])[some]
            parts.append(part)
        zero, one, two = parts
        mean = one / zero[:, None]
        times = np.broadcast_to(times, zero.shape)
        value -= float(times @ np.log(zero))
        score -= times @ mean
        information += unpacked((times / zero) @ two) - (mean * times[:, None]).T @ mean
    return value, score, information
