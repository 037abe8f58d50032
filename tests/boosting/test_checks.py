"""What cannot work is refused before any job, with what to do."""

from __future__ import annotations

import pytest

from sparkml_dist.boosting.checkpoint import Progress
from sparkml_dist.boosting.constraints import (
    check_constraints,
    interaction_constraints,
    monotone_constraints,
)
from sparkml_dist.boosting.extra_params import check_extra_params, draws_at_random
from sparkml_dist.boosting.objectives import (
    check_metrics,
    check_objective_fits,
    objective_name,
    resolve_objective,
)
from sparkml_dist.boosting.saved_booster import loaded_booster
from sparkml_dist.dataset.schema import FeatureColumn, FeatureSchema
from sparkml_dist.errors import ConfigurationError, DataError, StorageError
from tests.boosting.rows import Logistic

SCHEMA = FeatureSchema(
    (
        FeatureColumn("x", "numeric"),
        FeatureColumn("v", "array", 2),
        FeatureColumn("k", "categorical", 1, ("p", "q")),
    )
)


def test_constraints_name_columns():
    assert monotone_constraints({"x": 1, "v": -1}, SCHEMA) == "(1,-1,-1,0)"
    assert monotone_constraints({"v[1]": 1}, SCHEMA) == "(0,0,1,0)"
    assert interaction_constraints([["x", "k"], ["v"]], SCHEMA) == "[[0, 3], [1, 2]]"


@pytest.mark.parametrize(
    ("monotone", "interaction"), [({"x": 2}, None), (["x"], None), (None, "x"), (None, [[]])]
)
def test_constraints_of_the_wrong_form_are_refused(monotone, interaction):
    with pytest.raises(ConfigurationError, match="must be a"):
        check_constraints(monotone, interaction)


def test_constraints_on_unknown_columns_and_on_categories_are_refused():
    with pytest.raises(DataError, match="'xx'.*Did you mean 'x'"):
        interaction_constraints([["xx"]], SCHEMA)
    with pytest.raises(ConfigurationError, match="no order"):
        monotone_constraints({"k": 1}, SCHEMA)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"max_delta_stepp": 1}, "Did you mean 'max_delta_step'"),
        ({"eta": 0.1}, "Set learningRate instead"),
        ({"nthread": 4}, "cores of its task"),
        ({"base_score": [1]}, "a number or a text"),
        ("eta", "must be a dict"),
    ],
)
def test_further_parameters_are_those_of_xgboost(given, message):
    with pytest.raises(ConfigurationError, match=message):
        check_extra_params(given)


def test_what_draws_at_random():
    assert draws_at_random({"colsample_bynode": 0.5})
    assert not draws_at_random({"subsample": 1.0})


def test_objectives_fit_the_task():
    assert resolve_objective("count:poisson", regression=True) == "count:poisson"
    assert objective_name(None, 2) == "binary:logistic"
    assert objective_name(Logistic(), 3) == "multi:softprob"
    assert resolve_objective("math.sqrt", regression=False)(4) == 2
    for value in ("binary:logistik", "count:poisson", "math.sqroot", "no.such.module"):
        with pytest.raises(ConfigurationError) as caught:
            resolve_objective(value, regression=False)
        assert caught.value.code == "unknown_objective"
    with pytest.raises(ConfigurationError, match="does not fit a label of 3"):
        check_objective_fits("binary:logistic", 3)


def test_metrics_fit_the_task():
    check_metrics(["auc", "mlogloss"], regression=False)
    for names, classes in ((["aucc"], None), (["rmse"], None), (["logloss"], 3), (["merror"], 2)):
        with pytest.raises(ConfigurationError, match="evalMetric must be among"):
            check_metrics(names, regression=False, n_classes=classes)


def test_progress_comes_back_from_a_checkpoint():
    progress = Progress()
    progress.add({"rmse": 2.0})
    progress.best_round, progress.best = 0, 2.0
    assert Progress.from_dict(progress.to_dict()) == progress
    for wrong in ({"rounds": 2}, {"best": None}, {"best_round": 1}, {"history": {"rmse": ["1"]}}):
        with pytest.raises((TypeError, KeyError)):
            Progress.from_dict({**progress.to_dict(), **wrong})


@pytest.mark.parametrize("content", [b"", b"{L", b"{}", b"pickle"])
def test_what_is_no_booster_is_not_loaded(content):
    with pytest.raises(StorageError) as caught:
        loaded_booster(content, "here")
    assert caught.value.code == "booster_not_loaded"
