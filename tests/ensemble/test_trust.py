"""What has to be trusted is asked for before any member is fitted, and again when it is loaded."""

from __future__ import annotations

import pytest
from pyspark.ml import Pipeline, PipelineModel
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier

from sparkml_dist import (
    AdaBoostPLClassifier,
    BaggingClassifier,
    StackingClassifier,
    VotingClassifier,
    load_model,
)
from sparkml_dist.errors import ConfigurationError, StorageError
from sparkml_dist.learners.dry_fit import _results
from sparkml_dist.members.bank import MemberBank
from sparkml_dist.members.stored_member import StoredMember
from sparkml_dist.persistence.filesystem import Folder
from tests.ensemble import own_models
from tests.ensemble.own_models import Own

NAME = "tests.ensemble.own_models.Own"
TRUSTED = "spark.sparkml_dist.trustedTypes"


@pytest.fixture
def table(spark):
    return spark.range(400).selectExpr("double(id) AS x", "int(id > 190) AS label")


def estimators(marks=None):
    own, tree = Own(marks), DecisionTreeClassifier()
    return {
        "bagging": BaggingClassifier(estimator=own, numMembers=2, numShards=2),
        "boosting": AdaBoostPLClassifier(estimator=own, numMembers=2, numShards=2),
        "voting": VotingClassifier(estimators=[("t", tree), ("o", own)], numShards=2),
        "stacking": StackingClassifier(estimators=[("t", tree)], finalEstimator=own, numShards=2),
    }


@pytest.mark.parametrize("name", list(estimators()))
def test_types_are_asked_for_before_a_member_is_fitted(table, tmp_path, name):
    _results.clear()
    marks = tmp_path / "marks"
    marks.mkdir()
    with pytest.raises(StorageError, match="not on the allow-list") as caught:
        estimators(str(marks))[name].setModelDir(str(tmp_path / "m")).fit(table)
    assert caught.value.code == "untrusted_type"
    assert f'trustedTypes=["{NAME}"]' in caught.value.hint
    assert f"--trusted-types {NAME}" in caught.value.hint
    # One dry fit on a few rows, and nothing was begun.
    assert [int(p.name.split("-")[1]) <= 200 for p in marks.iterdir()] == [True]
    assert not (tmp_path / "m").exists()


def test_all_types_of_all_learners_are_in_one_list(table, monkeypatch):
    two = [("o", Own()), ("p", make_pipeline(SelectKBest(own_models.score, k=1), Own()))]
    with pytest.raises(StorageError) as caught:
        VotingClassifier(estimators=two, numShards=1).fit(table)
    assert f'trustedTypes=["{NAME}", "tests.ensemble.own_models.score"]' in caught.value.hint


def test_a_class_of_the_script_is_refused_with_what_to_do(table, monkeypatch):
    monkeypatch.setattr(Own, "__module__", "__main__")
    with pytest.raises(ConfigurationError, match="in the script itself") as caught:
        BaggingClassifier(estimator=make_pipeline(Own()), numShards=1).fit(table)
    assert caught.value.code == "not_in_a_module"
    assert "module" in caught.value.hint and "addArtifact" in caught.value.hint


def test_searches_and_their_parts_need_no_list(table):
    search = RandomizedSearchCV(
        make_pipeline(SelectKBest(k=1), LogisticRegression()),
        {"logisticregression__C": [0.1, 1.0]},
        n_iter=2,
        cv=KFold(2, shuffle=True),
        scoring="roc_auc",
    )
    model = BaggingClassifier(estimator=search, numMembers=1, numShards=1).fit(table)
    assert model.transform(table).where("prediction = label").count() > 350


def test_trust_at_load_in_a_session_and_in_pipelines(spark, table, tmp_path):
    path, piped = str(tmp_path / "m"), str(tmp_path / "p")
    bags = BaggingClassifier(estimator=Own(), numMembers=1, numShards=1, trustedTypes=[NAME])
    model = bags.fit(table)
    model.write().overwrite().save(path)
    PipelineModel([model]).write().overwrite().save(piped)
    Pipeline(stages=[bags]).write().overwrite().save(piped + "-estimator")
    with pytest.raises(StorageError, match=NAME) as caught:
        load_model(path)
    assert caught.value.code == "untrusted_type"
    assert f"spark.conf.set('{TRUSTED}', '{NAME}')" in caught.value.hint
    assert load_model(path, trusted=[NAME]).transform(table).count() == 400
    with pytest.raises(StorageError, match=NAME):
        PipelineModel.load(piped)
    spark.conf.set(TRUSTED, f"other.Type, {NAME}")
    try:
        assert load_model(path).transform(table).count() == 400
        assert PipelineModel.load(piped).transform(table).count() == 400
        again = Pipeline.load(piped + "-estimator").getStages()[0]
        assert isinstance(again.getEstimator(), Own)
        fresh = BaggingClassifier(estimator=Own(), numMembers=1, numShards=1)
        assert fresh.fit(table).transform(table).count() == 400
    finally:
        spark.conf.unset(TRUSTED)


def test_what_one_trusts_is_not_another_ones_to_use(tmp_path):
    member = StoredMember("m.skops", "", 1.0, None, "float32", True, True)
    banks = [
        MemberBank(Folder.at(tmp_path), (member,), 2, ("a",), trusted) for trusted in ((), (NAME,))
    ]
    assert banks[0].cache_key != banks[1].cache_key
