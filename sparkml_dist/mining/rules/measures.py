"""Interestingness measures of rules, from four counts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["MEASURES", "rule_measures"]

Counts = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]

#: The measures of every rule, in the order of their columns.
MEASURES = (
    "support",
    "confidence",
    "lift",
    "leverage",
    "conviction",
    "zhang",
    "jaccard",
    "kulczynski",
    "cosine",
    "certainty",
    "imbalanceRatio",
    "representativity",
)


def rule_measures(
    n: int, antecedent: Counts, consequent: Counts, both: Counts, *, missing: int = 0
) -> dict[str, Values]:
    """Return every measure of rules X → Y.

    Parameters
    ----------
    n : int
        Baskets.
    antecedent : ndarray of int64, shape (r,)
        Baskets that hold X.
    consequent : ndarray of int64, shape (r,)
        Baskets that hold Y.
    both : ndarray of int64, shape (r,)
        Baskets that hold X and Y.
    missing : int, default=0
        Baskets with unknown content, not counted in `n`.

    Returns
    -------
    dict of ndarray of float64, shape (r,)
        With P the share of baskets:

        - ``support`` P(XY), ``confidence`` P(Y|X), ``lift`` P(XY) / P(X)P(Y),
          ``leverage`` P(XY) − P(X)P(Y) (Piatetsky-Shapiro 1991);
        - ``conviction`` P(X)P(¬Y) / P(X¬Y), infinite for rules without exception (Brin 1997);
        - ``zhang`` leverage / max(P(XY)P(¬X), P(X)(P(Y) − P(XY))), in [−1, 1], 0 for 0 / 0
          (Zhang 2000);
        - ``jaccard`` P(XY) / P(X or Y); ``kulczynski`` (P(Y|X) + P(X|Y)) / 2;
          ``cosine`` P(XY) / √(P(X)P(Y)); ``imbalanceRatio`` |P(X) − P(Y)| / P(X or Y)
          (Wu, Chen, Han 2010);
        - ``certainty`` (P(Y|X) − P(Y)) / P(¬Y), 0 where every basket holds Y (Loevinger 1947);
        - ``representativity`` share of baskets with known content (Ragel, Crémilleux 1998).
    """
    a, c, s = (x.astype(np.float64) for x in (antecedent, consequent, both))
    with np.errstate(divide="ignore", invalid="ignore"):
        confidence = s / a
        # From counts with a single rounding, so that ties stay ties.
        covariance = s * n - a * c
        bound = np.maximum(s * (n - a), a * (c - s))
        either = a + c - s
        return {
            "support": s / n,
            "confidence": confidence,
            "lift": (s * n) / (a * c),
            "leverage": covariance / (float(n) * n),
            "conviction": np.where(a > s, a * (n - c) / (n * np.maximum(a - s, 1.0)), np.inf),
            "zhang": np.where(bound > 0, covariance / np.maximum(bound, 1.0), 0.0),
            "jaccard": s / either,
            "kulczynski": (confidence + s / c) / 2.0,
            "cosine": s / np.sqrt(a * c),
            "certainty": np.where(c < n, covariance / (a * np.maximum(n - c, 1.0)), 0.0),
            "imbalanceRatio": np.abs(a - c) / either,
            "representativity": np.full(len(s), n / (n + missing)),
        }
