"""Asking trees directly gives the same bits as scikit-learn's own methods."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression
from sklearn.tree import (
    DecisionTreeClassifier,
    DecisionTreeRegressor,
    ExtraTreeClassifier,
    ExtraTreeRegressor,
)

from sparkml_dist.learners.direct import direct
from tests.onnx.onnx_models import combiner, data


class _Doubled(DecisionTreeClassifier):
    """A subclass that says something else."""

    def predict_proba(self, X):
        return 2.0 * super().predict_proba(X)


@pytest.mark.parametrize(
    "learner",
    [
        DecisionTreeClassifier(max_depth=4),
        ExtraTreeClassifier(),
        RandomForestClassifier(7),
        ExtraTreesClassifier(7, bootstrap=True),
        DecisionTreeRegressor(max_depth=4),
        ExtraTreeRegressor(),
        RandomForestRegressor(7),
        ExtraTreesRegressor(7),
    ],
    ids=lambda x: type(x).__name__,
)
@pytest.mark.parametrize("missing", [False, True])
def test_the_same_bits(learner, missing):
    X, y, target = data(missing=missing)
    learner.set_params(random_state=0)
    classifies = hasattr(learner, "predict_proba")
    learner.fit(X, y if classifies else target)
    for method in ("predict", "predict_proba") if classifies else ("predict",):
        expected = getattr(learner, method)(X)
        found = direct(learner, method, X.shape[1])(X)
        assert np.array_equal(found, expected) and found.dtype == expected.dtype


@pytest.mark.parametrize(
    "learner",
    [
        _Doubled(),
        LogisticRegression(),
        HistGradientBoostingClassifier(max_iter=2),
        RandomForestClassifier(3),
    ],
    ids=["subclass", "linear", "boosted", "several outputs"],
)
def test_others_are_asked_as_ever(learner):
    X, y, _ = data()
    if isinstance(learner, RandomForestClassifier):
        y = np.column_stack([y, y])
    learner.fit(X, y)
    assert direct(learner, "predict_proba", learner.n_features_in_) is None
    assert direct(learner, "predict", learner.n_features_in_) is None


@pytest.mark.parametrize("voting", ["soft", "hard", "mean"])
def test_ensembles_score_the_same_bits(voting, tmp_path, monkeypatch):
    kind = DecisionTreeRegressor if voting == "mean" else DecisionTreeClassifier
    made = combiner(tmp_path, [kind(max_depth=5) for _ in range(4)], voting)
    X, _, _ = data()
    fast = made.load()(X)
    asked = []
    monkeypatch.setattr(
        "sparkml_dist.members.bank.direct",
        lambda learner, method, width: asked.append(method),
    )
    assert np.array_equal(made.load()(X), fast)
    assert len(asked) == 4
