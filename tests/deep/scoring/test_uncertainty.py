"""Entropy and mutual information against SciPy's entropy and against what they must be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy as scipy_entropy

from sparkml_dist.deep.scoring.uncertainty import entropy, uncertainty


@given(
    st.integers(1, 5),
    st.integers(1, 6),
    st.integers(2, 4),
    st.integers(0, 1000),
)
def test_uncertainty_against_scipy(members, rows, classes, seed):
    p = np.random.default_rng(seed).dirichlet(np.full(classes, 0.3), (members, rows))
    whole, apart = uncertainty(p.astype(np.float32)).T
    wanted = scipy_entropy(p.mean(axis=0), axis=-1)
    np.testing.assert_allclose(whole, wanted, atol=1e-5)
    np.testing.assert_allclose(apart, wanted - scipy_entropy(p, axis=-1).mean(axis=0), atol=1e-5)
    assert (apart >= 0).all()
    assert (apart <= whole + 1e-9).all()


def test_members_that_agree_leave_nothing_to_learn():
    p = np.tile([[0.25, 0.75], [1.0, 0.0]], (3, 1, 1))
    found = uncertainty(p)
    assert found[:, 1] == pytest.approx([0, 0])
    assert found[1, 0] == 0


def test_members_that_are_sure_of_different_classes_do_not_agree_at_all():
    p = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
    assert uncertainty(p)[0] == pytest.approx([np.log(2), np.log(2)])


def test_no_class_is_no_surprise():
    assert entropy(np.array([0.5, 0.5, 0.0])) == pytest.approx(np.log(2))
