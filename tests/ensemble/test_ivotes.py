"""Small votes against a run of the same by hand, and against what they are for."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.linear_model import RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from sparkml_dist import load_model, partition, split
from sparkml_dist.ensemble.bagging.bites import OutOfBag, bite
from sparkml_dist.ensemble.bagging.ivotes import IVotesClassifier
from sparkml_dist.errors import SparkMLDistError, TrainingError
from sparkml_dist.members.sampling import member_seed

TREE = DecisionTreeClassifier()


@pytest.fixture(scope="module")
def digits(spark):
    frame = load_digits(as_frame=True).frame.rename(columns={"target": "label"})
    return split(spark.createDataFrame(frame), 0.25, seed=1)


@pytest.fixture(scope="module")
def held_out(digits):
    frame = digits[1].toPandas()
    return frame.drop(columns="label").to_numpy(np.float32), frame.label.to_numpy()


@pytest.fixture(scope="module")
def one(digits, tmp_path_factory):
    return partition(digits[0], tmp_path_factory.mktemp("a") / "d", label="label", shards=1)


@pytest.fixture(scope="module")
def shards(digits, tmp_path_factory):
    return partition(digits[0], tmp_path_factory.mktemp("a") / "d", label="label", shards=3)


def fitted(data, **settings):
    return IVotesClassifier(**{"estimator": TREE, "biteSize": 150, **settings}).fit(data)


def error(model, held_out):
    X, y = held_out
    return (model._scorer().load()(X).argmax(axis=1) != y).mean()


@pytest.fixture(scope="module")
def many(one):
    return fitted(one, numMembers=60, patience=60)


def test_many_bites_beat_one_by_far(one, many, held_out):
    single = fitted(one, numMembers=1)
    assert single.summary["members"][0]["bag_rows"] == 150
    assert error(many, held_out) < error(single, held_out) / 2.5
    assert error(many, held_out) < 0.1


def test_the_out_of_bag_error_tells_the_truth(many, held_out):
    n = len(held_out[1])
    spread = np.sqrt(many.oobError * (1 - many.oobError) / n)
    assert abs(many.oobError - error(many, held_out)) < 3 * spread
    errors = many.summary["shards"][0]["errors"]
    assert len(errors) == many.numMembers == 60
    assert errors[-1] < errors[0] / 2


def test_important_bites_beat_random_ones_of_the_same_size(one, many, held_out):
    """Breiman's finding: with bites much smaller than the data, importance wins."""
    random = fitted(one, numMembers=60, patience=60, method="rvotes")
    assert many.oobError < random.oobError
    assert error(many, held_out) < error(random, held_out)


def test_the_sequence_is_breimans(one):
    """Every step again, by hand: bites, votes out of bag, the averaged error."""
    model = fitted(one, numMembers=6, seed=4)
    block = one.read_block(0)
    n = len(block)
    votes, smooth = np.zeros((n, 10)), None
    for k, learner in enumerate(model._bank().load().learners):
        chance = np.ones(n)
        if k:
            wrong = votes.any(1) & (votes.argmax(1) != block.y)
            chance = np.where(wrong, 1.0, smooth / (1 - smooth))
        rows = bite(block.key, chance, 150, 4, k)
        plain = clone(TREE).set_params(random_state=member_seed(4, k))
        plain.fit(block.X[rows], block.y[rows])
        assert np.array_equal(plain.predict(block.X), learner.predict(block.X))
        outside = np.setdiff1d(np.arange(n), rows)
        votes[outside, plain.predict(block.X[outside])] += 1
        judged = votes.any(1)
        now = (votes.argmax(1) != block.y)[judged].mean()
        smooth = now if smooth is None else 0.75 * smooth + 0.25 * now
        assert model.summary["shards"][0]["errors"][k] == pytest.approx(now)
    assert model.oobError == pytest.approx(now)


def test_rows_get_into_a_bite_by_their_chance():
    key = np.arange(1000)
    chance = np.where(key < 200, 1.0, 0.1)
    chance[:10] = 0
    counts = np.zeros(1000)
    for member in range(200):
        rows = bite(key, chance, 100, 0, member)
        assert len(set(rows)) == 100
        counts[rows] += 1
    assert counts[:10].sum() == 0
    sure, rare = counts[10:200].mean() / 200, counts[200:].mean() / 200
    # Without replacement: 1 - exp(-chance t) with t such that 100 rows are expected.
    assert np.log1p(-sure) / np.log1p(-rare) == pytest.approx(10, rel=0.06)


def test_half_of_a_bite_is_wrong_rows():
    y = np.zeros(4000, int)
    bag = OutOfBag(y, np.ones(4000), np.zeros((4000, 2)))
    codes = (np.arange(4000) % 10 == 0).astype(np.int32)  # one in ten is wrong
    bag.add(codes, np.arange(0))
    assert bag.smooth == pytest.approx(0.1)
    bites = [bite(np.arange(4000), bag.chances(), 100, 0, member) for member in range(50)]
    # Wrong rows are the rarer ones, and none is drawn twice: of every bite some are used up.
    assert np.mean([bag.wrong[rows].mean() for rows in bites]) == pytest.approx(0.486, abs=0.02)
    bag.add(np.zeros(4000, np.int32), np.arange(2000))
    # Half of the wrong rows now have one vote against one, of which the lower class wins.
    assert bag.errors == [0.1, 0.05]
    assert bag.votes.sum() == 6000


def test_weights_count_like_rows():
    weight = np.array([3.0, 1.0, 1.0, 0.0])
    bag = OutOfBag(np.array([0, 0, 1, 1]), weight, np.zeros((4, 2)))
    bag.add(np.array([1, 0, 1, 0], np.int32), np.arange(0))
    assert bag.errors == [pytest.approx(3 / 5)]
    assert bag.chances().tolist() == [3.0, 1.0, 1.0, 0.0]


def test_sequences_end_when_the_error_stops_falling(shards, held_out):
    model = fitted(shards, numMembers=300, tol=0.01, patience=3)
    lengths = [len(s["members"]) for s in model.summary["shards"]]
    assert model.numMembers == sum(lengths)
    assert all(4 <= n < 100 for n in lengths)
    assert error(model, held_out) < 0.12


def test_members_are_split_among_shards(shards):
    model = fitted(shards, numMembers=5, voting="soft")
    assert [len(s["members"]) for s in model.summary["shards"]] == [2, 2, 1]
    assert [m["shards"] for m in model.summary["members"]] == [[0], [0], [1], [1], [2]]
    assert fitted(shards, numMembers=2).numMembers == 2
    assert len({m["sha256"] for m in model.content["members"]}) == 5


def test_small_shards_keep_rows_out_of_bag(shards):
    model = fitted(shards, biteSize=100_000, numMembers=3)
    for member in model.summary["members"]:
        assert member["bag_rows"] == member["rows"] * 2 // 3
    assert model.oobError > 0


def test_a_learner_without_probabilities_or_weights(one, held_out):
    model = fitted(one, estimator=RidgeClassifier(), numMembers=4)
    assert error(model, held_out) < 0.2
    with pytest.raises(SparkMLDistError, match="predict_proba"):
        fitted(one, estimator=RidgeClassifier(), voting="soft")


def test_classes_that_bites_lack(spark, tmp_path):
    rng = np.random.default_rng(0)
    y = np.array([0] * 300 + [1] * 300 + [2] * 3)
    X = rng.normal(size=(603, 2)) + np.array([0, 4, -6])[y][:, None]
    frame = pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "label": y})
    data = partition(spark.createDataFrame(frame), tmp_path / "d", label="label", shards=3)
    model = fitted(data, biteSize=20, numMembers=12, voting="soft")
    block = data.read_block(range(3))
    proba = model._scorer().load()(block.X)
    assert proba.shape == (603, 3)
    assert (proba.argmax(1) == block.y).mean() > 0.93


def test_a_resumed_fit_is_the_same_model(shards, tmp_path):
    settings = {"numMembers": 9, "modelDir": str(tmp_path / "m"), "patience": 9}
    first = fitted(shards, **settings)
    for number in (2, 5, 7):
        (tmp_path / "m" / "members" / f"member-{number:05d}.json").unlink()
    again = fitted(shards, **settings, resume=True)
    assert again.summary["fitted_now"] == 3
    assert again.content == first.content
    assert again.summary["shards"] == first.summary["shards"]


@pytest.mark.modes("connect")
def test_end_to_end(spark, tmp_path):
    frame = spark.createDataFrame(load_iris(as_frame=True).frame.round(3))
    votes = IVotesClassifier(
        estimator=TREE, numMembers=8, biteSize=20, numShards=2, labelCol="target",
        modelDir=str(tmp_path / "m"),
    )  # fmt: skip
    model = votes.fit(frame)
    found = load_model(str(tmp_path / "m"))
    assert found.oobError == model.oobError
    rows = found.transform(frame).select("target", "prediction").collect()
    right = np.mean([r[0] == r[1] for r in rows])
    assert right > 0.9
    assert found.stagedAccuracy(frame)[-1] == pytest.approx(right)


def test_failures_name_shard_and_member(shards):
    learner = KNeighborsClassifier(metric="haversine")
    with pytest.raises(TrainingError, match=r"3 of 3 shards failed \(0, 1, 2\)\. Member 0 on"):
        fitted(shards, estimator=learner)


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"estimator": None}, "no_estimator"),
        ({"numMembers": 0}, "invalid_param"),
        ({"biteSize": 0}, "invalid_param"),
        ({"patience": 0}, "invalid_param"),
        ({"method": "bagging"}, "invalid_param"),
        ({"voting": "loud"}, "invalid_param"),
    ],
)
def test_settings_are_checked(settings, code, shards):
    with pytest.raises(SparkMLDistError) as caught:
        fitted(shards, **settings)
    assert caught.value.code == code
