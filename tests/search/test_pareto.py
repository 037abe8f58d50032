"""The front is what a comparison of all pairs gives; constraints come first."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.search.pareto import check_constraints, order, pareto_front, violation

LOSSES = st.sampled_from([0.0, 1.0, 2.0, 3.0, math.inf, math.nan])


@given(arrays(float, st.tuples(st.integers(0, 25), st.integers(1, 4)), elements=LOSSES))
def test_the_front_by_comparing_all_pairs(table):
    able = [i for i in range(len(table)) if np.isfinite(table[i]).all()]
    wanted = {
        i
        for i in able
        if not any((table[j] <= table[i]).all() and (table[j] < table[i]).any() for j in able)
    }
    front = pareto_front(table)
    assert len(front) == len(wanted) and set(front) == wanted
    assert [table[i, 0] for i in front] == sorted(table[i, 0] for i in front)


def test_constraints_come_first():
    constraints = {"size": 100.0, "milliseconds": 2.0}
    values = [
        {"size": 50.0, "milliseconds": 1.0},
        {"size": 100.0, "milliseconds": 2.0},
        {"size": 150.0, "milliseconds": 1.0},
        {"size": 90.0, "milliseconds": 6.0},
        {"size": 90.0},
    ]
    found = [violation(v, constraints) for v in values]
    assert found == [0.0, 0.0, 0.5, 2.0, math.inf]
    assert order([5.0, 3.0, 1.0, 2.0, 0.0], found) == [1, 0, 2, 3, 4]
    assert order([5.0, math.inf, math.nan], [0.0, 0.0, 0.0]) == [0]
    assert violation({"size": 3.0}, {"size": 0.0}) == 3.0
    assert violation({"size": 0.0}, {"size": 0.0}) == 0.0


@pytest.mark.parametrize("bad", [{"sizes": 1}, {"size": -1}, {"size": "1"}, {"size": math.nan}])
def test_constraints_that_cannot_be(bad):
    with pytest.raises(ConfigurationError, match="invalid_param"):
        check_constraints(bad, ("size", "milliseconds"))
    check_constraints({"size": 1}, ("size", "milliseconds"))
