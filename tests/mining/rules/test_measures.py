"""The measures against their definitions on drawn tables, and Fisher's test against scipy."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkml_dist.mining.rules.fisher import fisher_greater
from sparkml_dist.mining.rules.measures import MEASURES, rule_measures


@st.composite
def tables(draw) -> tuple[int, int, int, int]:
    """Baskets in all, with X, with Y, with both; both at least one."""
    both, x, y, neither = (draw(st.integers(low, 40)) for low in (1, 0, 0, 0))
    return both + x + y + neither, both + x, both + y, both


def arrays(*values: int) -> list[np.ndarray]:
    return [np.array([v], dtype=np.int64) for v in values]


@given(tables())
def test_measures_are_their_definitions(table):
    n, a, c, s = table
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = {k: float(v[0]) for k, v in rule_measures(n, *arrays(a, c, s)).items()}
    pa, pc, p = a / n, c / n, s / n
    confidence = s / a
    bound = max(p * (1 - pa), pa * (pc - p))
    expected = {
        "support": p,
        "confidence": confidence,
        "lift": confidence / pc,
        "leverage": p - pa * pc,
        "conviction": math.inf if s == a else (1 - pc) / (1 - confidence),
        "zhang": (p - pa * pc) / bound if bound > 1e-12 else 0.0,
        "jaccard": p / (pa + pc - p),
        "kulczynski": (confidence + s / c) / 2,
        "cosine": p / math.sqrt(pa * pc),
        "certainty": (confidence - pc) / (1 - pc) if c < n else 0.0,
        "imbalanceRatio": abs(pa - pc) / (pa + pc - p),
        "representativity": 1.0,
    }
    assert tuple(found) == MEASURES
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert -1 <= found["zhang"] <= 1


def test_representativity_counts_baskets_that_are_not_known():
    assert rule_measures(80, *arrays(40, 40, 20), missing=20)["representativity"][0] == 0.8


@given(st.lists(tables(), min_size=1, max_size=8))
def test_fisher_is_the_tail_of_the_hypergeometric_distribution(drawn):
    from scipy.stats import hypergeom

    for n in {t[0] for t in drawn}:
        a, c, s = (np.array([t[i] for t in drawn if t[0] == n]) for i in (1, 2, 3))
        assert fisher_greater(n, a, c, s) == pytest.approx(hypergeom.sf(s - 1, n, a, c), rel=1e-9)


def test_fisher_of_many_baskets():
    from scipy.stats import hypergeom

    n = 2_000_000
    a, c, s = np.array([40_000, 500, 1_000_000]), np.array([60_000, 300, 3]), np.array([1300, 5, 3])
    exact = [hypergeom.sf(s[i] - 1, n, a[i], c[i]) for i in range(3)]
    assert fisher_greater(n, a, c, s) == pytest.approx(exact, rel=1e-5)
    assert fisher_greater(n, a[:1], c[:1], a[:1])[0] == 0.0  # below the smallest double
