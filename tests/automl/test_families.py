"""Families of learners: their spaces hold the settings they begin with, and they fit any table."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone

from sparkml_dist.automl.families.family import Situation
from sparkml_dist.automl.families.known import FAMILIES, check_families, families_for
from sparkml_dist.automl.table_column import TableColumn
from sparkml_dist.dataset.schema import FeatureColumn, FeatureSchema
from sparkml_dist.errors import ConfigurationError

SCHEMA = FeatureSchema(
    (
        *(FeatureColumn(name, "numeric") for name in "abc"),
        FeatureColumn("k", "categorical", categories=("p", "q", "r", "s", "t")),
    )
)
COLUMNS = (TableColumn("b", "number", ("b",), skewed=True),)


def situation(classes=2, rows=300, **more):
    given = {"imbalanced": False, "metric": "auc", "seed": 0, "can_stop": True, **more}
    return Situation(schema=SCHEMA, columns=COLUMNS, rows=rows, classes=classes, **given)


def table(classes, rows=300):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(rows, 4)).astype(np.float32)
    X[:, 1] = np.exp(3 * X[:, 1])
    X[::7, 0] = np.nan
    X[:, 3] = rng.integers(0, 5, rows)
    signal = np.nan_to_num(X[:, 0]) + X[:, 2] + (X[:, 3] == 2)
    if not classes:
        return X, signal.astype(np.float64)
    return X, np.digitize(signal, np.quantile(signal, np.arange(1, classes) / classes))


@pytest.mark.parametrize("classes", [0, 2, 4])
def test_settings_to_begin_with_are_in_the_space(classes):
    found, left = families_for(situation(classes, imbalanced=classes > 0), None)
    assert [f.name for f in found] == list(FAMILIES) and not left
    for family in found:
        space = family.searched()
        for params in family.portfolio:
            points = family.points(params)
            assert set(points) == set(family.space)
            drawn = space.draw(_Given(points))
            assert drawn.params == dict(params)
            clone(family.learner).set_params(**params)


class _Given:
    """A source of given points."""

    def __init__(self, points):
        self.points = points

    def take(self, name, dimension):
        return self.points[name]


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("name", ["linear", "neighbors", "extra_trees", "kernel", "perceptron"])
def test_pipelines_take_missing_values_skewed_numbers_and_new_categories(name, classes):
    (family,), _ = families_for(situation(classes), [name])
    X, y = table(classes)
    learner = clone(family.learner).set_params(**family.portfolio[0])
    fitted = learner.fit(X, y)
    other = X[:5].copy()
    other[0, 3], other[1, 3], other[2, 2] = 77, np.nan, np.nan
    assert len(fitted.predict(other)) == 5
    if classes:
        assert (fitted.predict(X) == y).mean() > 0.6
    else:
        assert np.corrcoef(fitted.predict(X), y)[0, 1] > 0.7


def test_families_that_do_not_fit_are_left_out_with_the_reason():
    found, left = families_for(situation(rows=500_000), None)
    assert set(left) == {"neighbors", "kernel"} and "500,000 rows" in left["neighbors"]
    assert {f.name for f in found} == set(FAMILIES) - set(left)
    found, left = families_for(situation(rows=500_000), ["neighbors"])
    assert [f.name for f in found] == ["neighbors"] and "linear" in left


@pytest.mark.parametrize(
    ("names", "text"), [([], "empty list"), (["lightgmb"], "Did you mean 'lightgbm'")]
)
def test_no_families_or_unknown_ones_are_refused(names, text):
    with pytest.raises(ConfigurationError, match=text):
        check_families(names)


def test_rounds_are_fewer_where_there_is_no_time_for_more():
    def rounds(**more):
        (family,), _ = families_for(situation(10, **more), ["lightgbm"])
        return family.learner.get_params()["n_estimators"]

    assert rounds(rows=10_000_000, seconds=None) == rounds(rows=300, seconds=9.0) == 300
    # 1 ms and 4 cells × 10⁶ / 3 × 10⁸ for each of ten trees of a round.
    assert rounds(rows=1_000_000, seconds=9.0) == int(9 / (10 * (0.001 + 4 / 300)))
    assert rounds(rows=100_000_000, seconds=9.0) == 40
