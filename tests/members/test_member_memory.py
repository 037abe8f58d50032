"""Members that memory does not hold at once: the same predictions, from one after the other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from sparkml_dist import (
    AdaBoostClassifier,
    AdaBoostPLClassifier,
    BaggingClassifier,
    CalibratedClassifier,
    GradientBoostingClassifier,
    StackingClassifier,
    load_model,
    partition,
    vote,
)
from sparkml_dist.errors import ConfigurationError, ResourceError
from sparkml_dist.members.bank import MemberBank
from sparkml_dist.models.shard_model import ShardModel
from sparkml_dist.persistence import learners as persisted
from tests.onnx.onnx_models import combiner, data


@pytest.fixture
def read(monkeypatch):
    """The numbers of the members that are read one by one."""
    found = []
    learner = MemberBank.learner
    monkeypatch.setattr(
        MemberBank, "learner", lambda self, index: found.append(index) or learner(self, index)
    )
    return found


@pytest.mark.parametrize("voting", ["soft", "hard", "mean"])
def test_the_same_votes_to_the_bit(tmp_path, voting, read):
    tree = DecisionTreeRegressor if voting == "mean" else DecisionTreeClassifier
    learners = [tree(max_depth=d, random_state=d) for d in (2, 4, 6, 8)]
    whole = combiner(tmp_path, learners, voting)
    X, _, _ = data()
    sizes = [whole.bank.folder.size(m.file) for m in whole.bank.members]
    # Room for the first two, beside the largest of the others.
    bounded = whole.within(sizes[0] + sizes[1] + max(sizes))
    assert bounded.streams and not whole.streams
    assert bounded.cache_key != whole.cache_key
    predict = bounded.load()
    assert read == []
    for block in (X[:7], X):
        np.testing.assert_array_equal(predict(block), whole.load()(block))
    assert read == [2, 3, 2, 3]
    assert not whole.within(sum(sizes)).streams
    assert replace(whole.bank, memory=1).fitting() == 0


@pytest.fixture(scope="module")
def iris(spark, tmp_path_factory):
    frame = load_iris(as_frame=True).frame.rename(columns={"target": "label"})
    df = spark.createDataFrame(frame)
    path = tmp_path_factory.mktemp("iris") / "d"
    return df, partition(df, path, label="label", shards=2)


def probabilities(model, df):
    rows = model.transform(df).select("probability").collect()
    return np.array([r[0].toArray() for r in rows])


@pytest.mark.long
def test_every_kind_of_model_scores_within_its_memory(iris, tmp_path):
    df, shards = iris
    tree = DecisionTreeClassifier(max_depth=3)
    forest = RandomForestClassifier(5, random_state=0)
    bags = BaggingClassifier(estimator=forest, numMembers=3, oob=True).fit(shards)
    kinds = [("tree", tree), ("bayes", GaussianNB())]
    models = {
        "bags": bags,
        "samme": AdaBoostClassifier(estimator=tree, numMembers=3).fit(shards),
        "merged": AdaBoostPLClassifier(estimator=tree, numMembers=3).fit(shards),
        "gradient": GradientBoostingClassifier(
            estimator=DecisionTreeRegressor(max_depth=2), numMembers=3
        ).fit(shards),
        "stacked": StackingClassifier(
            estimators=kinds, shardsPerMember=1, numFolds=2, finalEstimator=LogisticRegression()
        ).fit(shards),
        "calibrated": CalibratedClassifier(model=bags, method="sigmoid").fit(df),
        "voted": vote([bags, bags], weights=[1, 2]),
    }
    for name, model in models.items():
        whole = probabilities(model, df)
        assert not model._task_scorer().streams, name
        small = model.copy().setMemoryPerTask("1k")
        assert small._task_scorer().streams, name
        np.testing.assert_array_equal(probabilities(small, df), whole, err_msg=name)
    # Saved with it, and heeded where members judge the rows of a fit.
    small = bags.copy().setMemoryPerTask("1k")
    small.save(str(tmp_path / "small"))
    assert load_model(str(tmp_path / "small")).getMemoryPerTask() == "1k"
    again = BaggingClassifier(estimator=forest, numMembers=3, oob=True, memoryPerTask="1k")
    assert again.fit(shards).summary["oob"] == bags.summary["oob"]


def test_stages_and_calibration_keep_to_the_memory_too(iris, monkeypatch):
    df, shards = iris
    forest = RandomForestClassifier(5, random_state=0)
    whole = BaggingClassifier(estimator=forest, numMembers=3).fit(shards)
    small = whole.copy().setMemoryPerTask("1k")
    streamed = []
    bounded = ShardModel._bounded

    def spy(model, scorer):
        streamed.append(bounded(model, scorer).streams)
        return bounded(model, scorer)

    monkeypatch.setattr(ShardModel, "_bounded", spy)
    assert small.stagedAccuracy(df) == whole.stagedAccuracy(df)
    assert streamed == [True, False]
    fits = [CalibratedClassifier(model=m, method="isotonic").fit(df) for m in (small, whole)]
    assert streamed[2:] == [True, False]
    assert fits[0].calibration.to_dict() == fits[1].calibration.to_dict()


def test_a_size_that_is_none(iris):
    _, shards = iris
    model = BaggingClassifier(estimator=DecisionTreeClassifier(), numMembers=1).fit(shards)
    with pytest.raises(ConfigurationError, match="memoryPerTask"):
        model.setMemoryPerTask("much")


def test_memory_that_ends_is_no_damage(monkeypatch):
    content = persisted.dump_learner(GaussianNB().fit([[0.0], [1.0]], [0, 1]))

    def loads(*_, **__):
        raise MemoryError

    monkeypatch.setattr("skops.io.loads", loads)
    with pytest.raises(ResourceError, match="m.skops.*memory") as caught:
        persisted.load_learner(content, "m.skops")
    assert caught.value.code == "out_of_memory"
