"""Tests of independence of two variables, given others, from their counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2

__all__ = ["TESTS", "IndependenceTest", "TestName", "independence_test"]

TestName = Literal["x2", "g2", "mi"]
TESTS: tuple[str, ...] = get_args(TestName)


@dataclass(frozen=True)
class IndependenceTest:
    """Result of a test.

    Attributes
    ----------
    statistic : float
        Pearson's X², the likelihood ratio G², or the (conditional) mutual information in nats.
    df : int
        Degrees of freedom: (r - 1)(s - 1) for each configuration of the others.
    p : float
        By the chi-square distribution; that of the mutual information is that of G² = 2 n MI.
    """

    statistic: float
    df: int
    p: float


def independence_test(counts: npt.NDArray[np.int64], test: TestName = "x2") -> IndependenceTest:
    """Test whether two variables are independent, given others.

    Parameters
    ----------
    counts : ndarray of int64, shape (r, s) or (r, s, q)
        Of the states of the two variables, and the configurations of the others.
    test : {"x2", "g2", "mi"}

    Returns
    -------
    IndependenceTest
    """
    table = counts.reshape(counts.shape[0], counts.shape[1], -1).astype(np.float64)
    r, s, q = table.shape
    rows = table.sum(axis=1, keepdims=True)
    columns = table.sum(axis=0, keepdims=True)
    total = table.sum(axis=(0, 1), keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = rows * columns / total
        if test == "x2":
            terms = np.where(expected > 0, (table - expected) ** 2 / expected, 0.0)
        else:
            terms = np.where(table > 0, 2 * table * np.log(table / expected), 0.0)
    value = float(terms.sum())
    df = (r - 1) * (s - 1) * q
    p = float(chi2.sf(value, df)) if df else 1.0
    n = float(table.sum())
    if test == "mi":
        value = value / (2 * n) if n else 0.0
    return IndependenceTest(value, df, p)
