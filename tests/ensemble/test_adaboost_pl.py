"""AdaBoost.PL against AdaBoost on each shard, merged by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn import ensemble
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from sparkml_dist import IVotesClassifier, load_model, partition
from sparkml_dist.ensemble.adaboost.adaboost import AdaBoostClassifier
from sparkml_dist.ensemble.adaboost.adaboost_pl import AdaBoostPLClassifier, merged_rounds
from sparkml_dist.ensemble.adaboost.samme import Round
from sparkml_dist.errors import SparkMLDistError, TrainingError

# Depends on its random state only where splits tie, and data here has no ties in the best ones.
TREE = DecisionTreeClassifier(max_depth=4, random_state=0)


@pytest.fixture(scope="module")
def frame(spark):
    found = load_digits(as_frame=True).frame.rename(columns={"target": "label"})
    return spark.createDataFrame(found)


@pytest.fixture(scope="module")
def shards(frame, tmp_path_factory):
    return partition(frame, tmp_path_factory.mktemp("a") / "d", label="label", shards=3)


def predict(model, X):
    return model._scorer().load()(X)


def staged(model, block):
    votes = model._scorer().load_staged()(block.X)
    return [(v.argmax(axis=1) == block.y).mean() for v in votes]


def test_one_shard_is_adaboost(frame, tmp_path):
    data = partition(frame, tmp_path / "one", label="label", shards=1)
    models = [
        kind(estimator=TREE, numMembers=12, seed=2).fit(data)
        for kind in (AdaBoostPLClassifier, AdaBoostClassifier)
    ]
    block = data.read_block(0)
    assert np.allclose(*[predict(m, block.X) for m in models], rtol=0, atol=1e-12)
    assert sorted(models[0].weights) == sorted(models[1].weights)
    assert models[0].numHypotheses == 12


def test_is_each_shards_adaboost_merged(shards):
    model = AdaBoostPLClassifier(estimator=TREE, numMembers=8).fit(shards)
    assert (model.numMembers, model.numHypotheses) == (24, 8)
    members = model._bank().load().learners
    parts = []
    for s in range(3):
        block = shards.read_block(s)
        own = members[s::3]
        errors = model.estimatorErrors[s::3]
        weight = np.ones(len(block)) / len(block)
        by_round = sorted(range(8), key=lambda i: model.content["members"][s + 3 * i]["file"])
        for i in by_round:  # each saw the weights that those before it left
            missed = own[i].predict(block.X) != block.y
            assert errors[i] == pytest.approx((missed * weight).sum())
            weight = weight * np.exp(model.weights[s + 3 * i] * missed)
            weight /= weight.sum()
        parts.append([own[i] for i in range(8)])
        assert model.weights[s::3] == sorted(model.weights[s::3], reverse=True)
    X = shards.read_block(0).X
    votes = np.zeros((len(X), 10))
    for t in range(8):
        says = np.array(model.weights[3 * t : 3 * t + 3])
        assert model.hypothesisWeights[t] == pytest.approx(says.mean())
        count = np.zeros_like(votes)
        say = np.zeros_like(votes)
        for s in range(3):
            code = parts[s][t].predict(X)
            count[np.arange(len(X)), code] += 1
            say[np.arange(len(X)), code] += says[s]
        best = np.lexsort((say, count), axis=1)[:, -1]
        votes[np.arange(len(X)), best] += says.mean()
    decision = (votes - (votes.sum(1, keepdims=True) - votes) / 9) / votes.sum(1, keepdims=True)
    expected = np.exp(decision / 9)
    expected /= expected.sum(axis=1, keepdims=True)
    assert np.allclose(predict(model, X), expected, atol=1e-12)


def test_merging_beats_a_member_and_is_near_to_one_sequence(frame, shards):
    block = shards.read_block([0, 1, 2])
    order = np.random.default_rng(0).permutation(len(block))
    model = AdaBoostPLClassifier(estimator=TREE, numMembers=15).fit(shards)
    found = staged(model, block)
    assert len(found) == model.numMembers
    assert model.stagedAccuracy(frame) == pytest.approx(found)
    assert found[-1] == pytest.approx((predict(model, block.X).argmax(1) == block.y).mean())
    plain = ensemble.AdaBoostClassifier(clone(TREE), n_estimators=15)
    plain.fit(block.X[order], block.y[order])
    assert found[-1] > found[0] + 0.1
    assert found[-1] > plain.score(block.X, block.y) - 0.05


@pytest.mark.modes("local-cluster")
def test_end_to_end(spark, tmp_path):
    data = spark.createDataFrame(load_iris(as_frame=True).frame.round(3))
    boosting = AdaBoostPLClassifier(
        estimator=DecisionTreeClassifier(max_depth=2), numMembers=4, numShards=2,
        labelCol="target", modelDir=str(tmp_path / "m"),
    )  # fmt: skip
    model = boosting.fit(data)
    found = load_model(str(tmp_path / "m"))
    rows = found.transform(data).select("target", "prediction", "probability").collect()
    right = np.mean([r[0] == r[1] for r in rows])
    assert right > 0.9
    assert found.stagedAccuracy(data)[-1] == pytest.approx(right)
    assert all(abs(sum(r[2]) - 1) < 1e-6 for r in rows)
    found.save(str(tmp_path / "copy"))
    assert load_model(str(tmp_path / "copy")).hypothesisWeights == model.hypothesisWeights


def test_shards_whose_sequences_end_early(spark, tmp_path):
    """Where one class is alone in a shard, its first member is perfect; the others go on."""
    rng = np.random.default_rng(0)
    y = np.array([0] * 200 + [1] * 200 + [2] * 2)
    X = rng.normal(size=(402, 2)) + np.array([0, 2, -6])[y][:, None]
    frame = pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "label": y})
    data = partition(spark.createDataFrame(frame), tmp_path / "d", label="label", shards=4)
    learner = DecisionTreeClassifier(max_depth=2)
    model = AdaBoostPLClassifier(estimator=learner, numMembers=5).fit(data)
    block = data.read_block(range(4))
    assert predict(model, block.X).shape == (402, 3)
    assert (predict(model, block.X).argmax(1) == block.y).mean() > 0.9


def test_hypotheses_of_sequences_of_different_lengths():
    first = [Round(0, 0.2, 1.0), Round(1, 0.1, 2.0), Round(2, 0.6, 0.0, "chance")]
    second = [Round(5, 0.0, 1.0, "perfect")]
    groups = merged_rounds([first, second, [Round(9, 0.9, 0.0, "chance")]])
    assert [[r.number for r in g] for g in groups] == [[1, 5], [0]]


def test_a_resumed_fit_is_the_same_model(shards, tmp_path):
    settings = {"estimator": TREE, "numMembers": 4, "modelDir": str(tmp_path / "m")}
    first = AdaBoostPLClassifier(**settings).fit(shards)
    for number in (2, 3, 6, 7):
        (tmp_path / "m" / "members" / f"member-{number:05d}.json").unlink()
        (tmp_path / "m" / "rounds" / f"round-{number:05d}.json").unlink()
    again = AdaBoostPLClassifier(**settings, resume=True).fit(shards)
    assert again.summary["fitted_now"] == 4
    assert again.content == first.content


def test_failures_name_shard_and_member(shards):
    learner = KNeighborsClassifier(metric="haversine")
    with pytest.raises(TrainingError, match=r"3 of 3 shards failed \(0, 1, 2\)\. Member 0 on"):
        AdaBoostPLClassifier(estimator=learner).fit(shards)


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"estimator": None}, "no_estimator"),
        ({"numMembers": 0}, "invalid_param"),
        ({"learningRate": -1.0}, "invalid_param"),
        ({"maxSamples": 5}, "unknown_param"),
    ],
)
def test_settings_are_checked(settings, code, shards):
    with pytest.raises(SparkMLDistError) as caught:
        AdaBoostPLClassifier(**{"estimator": TREE, **settings}).fit(shards)
    assert caught.value.code == code


def test_a_shard_without_weight_is_named(spark, tmp_path):
    # One row counts, and it lies in one of the two shards.
    rows = pd.DataFrame({"x": np.arange(40.0), "label": np.arange(40) % 2, "w": 0.0})
    rows.loc[7, "w"] = 1.0
    data = partition(
        spark.createDataFrame(rows), tmp_path / "d", label="label", weight="w", shards=2
    )
    empty = next(i for i in (0, 1) if not data.read_block(i).weight.any())
    for estimator in (
        AdaBoostPLClassifier(estimator=TREE, numMembers=2),
        IVotesClassifier(estimator=TREE, numMembers=2, biteSize=5),
    ):
        message = rf"shard(\(s\))? {empty} .*have weight 0"
        with pytest.raises(SparkMLDistError, match=message) as caught:
            estimator.fit(data)
        assert caught.value.code == "weight_zero"


def test_a_round_that_fails_names_member_and_shard(shards):
    wrong = KNeighborsClassifier(n_neighbors=100_000)
    with pytest.raises(TrainingError, match=r"Member \d+ on shard\(s\) \d.*n_neighbors") as error:
        AdaBoostPLClassifier(estimator=wrong, numMembers=2).fit(shards)
    assert error.value.code == "member_failed"
