"""What learners name is found however deep it lies, and classes are spelled as they see them."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.ensemble import BaggingClassifier, HistGradientBoostingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, make_scorer
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.learners.naming import (
    encodes_categories,
    named_columns,
    names_categories,
    names_classes,
    parts,
    refuse_unimportable,
    refuse_unknown_columns,
    with_class_codes,
    with_present_ranks,
)

TREE = DecisionTreeClassifier(class_weight={"yes": 8})


@pytest.mark.parametrize(
    "learner",
    [
        TREE,
        make_pipeline(StandardScaler(), TREE),
        BaggingClassifier(TREE),
        VotingClassifier([("a", LogisticRegression()), ("b", make_pipeline(TREE))]),
        CalibratedClassifierCV(TREE),
        OneVsRestClassifier(TREE),
        GridSearchCV(DecisionTreeClassifier(), {"class_weight": [None, {"yes": 8}]}),
        GridSearchCV(make_pipeline(SVC()), [{"svc": [TREE]}, {"svc__C": [1]}]),
    ],
    ids=lambda learner: type(learner).__name__,
)
def test_weights_of_classes_are_found_and_completed(learner):
    before = repr(learner)
    assert names_classes(learner, ["no", "yes"])
    told = with_class_codes(learner, ["no", "yes"])
    found = [v for _, name, v in parts(told) if name == "class_weight" and isinstance(v, dict)]
    assert found == [{0: 1, 1: 8}]
    assert repr(learner) == before


def test_what_names_no_class_stays_the_same_object():
    learner = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))
    assert not names_classes(learner, [1, 2])
    assert with_class_codes(learner, [1, 2]) is learner


@pytest.mark.parametrize(
    ("classes", "key", "code"),
    [
        ([1, 2], "2", 1),
        ([1, 2], np.int64(2), 1),
        ([1.0, 2.5], "2.5", 1),
        ([1.0, 2.0], 2, 1),
        ([False, True], "true", 1),
        ([False, True], True, 1),
        (["1", "2"], "2", 1),
    ],
)
def test_a_class_has_the_spellings_of_json_and_of_numpy(classes, key, code):
    told = with_class_codes(LogisticRegression(class_weight={key: 5}), classes)
    assert told.class_weight[code] == 5


def test_an_unknown_class_is_refused_with_those_there_are():
    learner = make_pipeline(LogisticRegression(class_weight={"ye": 5}))
    with pytest.raises(ConfigurationError, match="LogisticRegression.*'ye'.*'yes'") as caught:
        with_class_codes(learner, ["no", "yes"])
    assert caught.value.code == "unknown_class"
    assert "'no', 'yes'" in caught.value.hint


def test_positive_classes_of_scores_and_thresholds():
    score = make_scorer(f1_score, pos_label="yes")
    search = GridSearchCV(TREE, {}, scoring=score)
    told = with_class_codes(search, ["no", "yes"])
    assert told.scoring._kwargs["pos_label"] == 1
    assert score._kwargs["pos_label"] == "yes"
    fixed = with_class_codes(FixedThresholdClassifier(TREE, pos_label="no"), ["no", "yes"])
    assert fixed.pos_label == 0
    # The F1 of scikit-learn is that of class 1, which is not the one with code 1.
    unasked = GridSearchCV(LogisticRegression(), {}, scoring="f1")
    assert names_classes(unasked, [1, 2])
    assert with_class_codes(unasked, [1, 2]).scoring._kwargs["pos_label"] == 0
    assert not names_classes(GridSearchCV(LogisticRegression(), {}, scoring="f1"), [0, 1])


def test_columns_by_name():
    by_name = ColumnTransformer([("s", StandardScaler(), ["age"])])
    assert named_columns(make_pipeline(by_name, LogisticRegression()))
    assert named_columns(HistGradientBoostingClassifier(monotonic_cst={"age": 1}))
    assert named_columns(HistGradientBoostingClassifier(categorical_features=["age"]))
    selected = ColumnTransformer([("s", StandardScaler(), make_column_selector("a.*"))])
    assert named_columns(selected)
    by_place = ColumnTransformer([("s", StandardScaler(), [0, 1])])
    assert not named_columns(make_pipeline(by_place, HistGradientBoostingClassifier()))
    assert not named_columns(HistGradientBoostingClassifier(categorical_features=[0]))


@pytest.mark.parametrize(
    "learner",
    [
        make_pipeline(ColumnTransformer([("s", StandardScaler(), ["agee"])]), TREE),
        BaggingClassifier(HistGradientBoostingClassifier(monotonic_cst={"agee": 1})),
        GridSearchCV(HistGradientBoostingClassifier(categorical_features=["agee"]), {}),
    ],
    ids=lambda learner: type(learner).__name__,
)
def test_a_column_that_there_is_not(learner):
    with pytest.raises(ConfigurationError, match="'agee'.*Did you mean 'age'") as caught:
        refuse_unknown_columns(learner, ["age", "pay"])
    assert caught.value.code == "unknown_feature"


def test_categories_by_name():
    listed = make_pipeline(OneHotEncoder(categories=[["low", "high"]]), LogisticRegression())
    assert names_categories(listed) == "text"
    assert names_categories(make_pipeline(OneHotEncoder(), LogisticRegression())) == ""
    words = make_column_selector(dtype_include=object)
    assert names_categories(ColumnTransformer([("e", OneHotEncoder(), words)])) == "text"
    kind = make_column_selector(dtype_include="category")
    assert names_categories(ColumnTransformer([("e", OneHotEncoder(), kind)])) == "category"
    assert encodes_categories(listed)
    assert not encodes_categories(make_pipeline(StandardScaler(), LogisticRegression()))


def own_function(X):
    return X


def test_what_no_worker_could_import(monkeypatch):
    refuse_unimportable(make_pipeline(FunctionTransformer(own_function), LogisticRegression()))
    refuse_unimportable(make_pipeline(FunctionTransformer(np.log1p), LogisticRegression()))
    learner = make_pipeline(FunctionTransformer(lambda X: X), LogisticRegression())
    with pytest.raises(ConfigurationError, match="lambda") as caught:
        refuse_unimportable(learner)
    assert caught.value.code == "not_in_a_module"
    monkeypatch.setattr(own_function, "__module__", "__main__")
    with pytest.raises(ConfigurationError, match="own_function.*in the script itself") as caught:
        refuse_unimportable(make_pipeline(FunctionTransformer(own_function), LogisticRegression()))
    assert "addArtifact" in caught.value.hint and "--py-files" in caught.value.hint


def test_a_shard_without_a_class_has_other_ranks():
    heavy = DecisionTreeClassifier(class_weight={"c": 5})
    told = with_class_codes(make_pipeline(StandardScaler(), heavy), ["a", "b", "c"])
    there = with_present_ranks(told, [1, 2])
    assert there[-1].class_weight == {0: 1, 1: 5}
    assert told[-1].class_weight == {0: 1, 1: 1, 2: 5}
    fixed = with_class_codes(FixedThresholdClassifier(TREE, pos_label="no"), ["no", "yes"])
    assert with_present_ranks(fixed, [1]).pos_label == 1
