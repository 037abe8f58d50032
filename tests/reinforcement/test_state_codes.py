"""States in the words of their log."""

from __future__ import annotations

import numpy as np
import pytest

from sparkml_dist.dataset.schema import FeatureColumn, FeatureSchema
from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.reinforcement.evaluation.state_basis import StateFeatures
from sparkml_dist.reinforcement.state_codes import coded_states

SCHEMA = FeatureSchema.build(
    [
        FeatureColumn("heat", "numeric"),
        FeatureColumn("kind", "categorical", categories=("1", "new", "true")),
    ],
    sparse=False,
    precision="float64",
)


def test_words_become_the_codes_of_their_categories():
    states = [[1.5, "new"], [2, "1.0"], [None, "True"], [0.5, "?"], [0.5, None]]
    expected = [[1.5, 1], [2, 0], [np.nan, 2], [0.5, np.nan], [0.5, np.nan]]
    assert np.array_equal(coded_states(states, SCHEMA), expected, equal_nan=True)
    assert coded_states((1.5, "new"), SCHEMA, one=True).tolist() == [[1.5, 1.0]]


def test_numbers_stay_as_they_are():
    rows = np.arange(4.0).reshape(2, 2)
    assert coded_states(rows, SCHEMA) is rows
    assert coded_states(3, SCHEMA, one=True) == 3


def test_what_does_not_fit_is_refused():
    with pytest.raises(DataError, match="'heat' is a number"):
        coded_states([["warm", "new"]], SCHEMA)
    with pytest.raises(ConfigurationError, match="has 2 features. Got 1"):
        coded_states("new", SCHEMA, one=True)


def test_linear_functions_of_words_are_indicators():
    basis = StateFeatures.of(SCHEMA)
    assert basis.width == 4
    states = np.array([[1.5, 0], [2.0, 1], [3.0, 2], [4.0, np.nan]])
    found = basis.functions(states)
    assert found.tolist() == [[1, 1.5, 0, 0], [1, 2, 1, 0], [1, 3, 0, 1], [1, 4, 0, 0]]
    squares = StateFeatures.of(SCHEMA, 2)
    assert squares.functions(states).shape == (4, squares.width) == (4, 10)
    assert StateFeatures(2).functions(states[:3]).shape == (3, StateFeatures(2).width)
