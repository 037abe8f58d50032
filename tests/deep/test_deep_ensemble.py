"""`DeepEnsembleClassifier` on digits: several gangs, one vote, and how far to trust it."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.tree import DecisionTreeClassifier

from sparkml_dist import (
    BaggingClassifier,
    DeepEnsembleClassifier,
    load_model,
    partition,
    split,
    vote,
)
from sparkml_dist.deep.scoring.uncertainty import uncertainty
from sparkml_dist.errors import ConfigurationError

FILE = """
import keras

def build(input_shape, n_classes):
    model = keras.Sequential(
        [
            keras.Input(input_shape),
            keras.layers.Rescaling(1 / 16),
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(n_classes, activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    return model

def breaks(input_shape):
    raise ValueError("no such luck")
"""


@pytest.fixture(scope="module")
def digits(spark, tmp_path_factory):
    frame = load_digits(as_frame=True).frame.rename(columns={"target": "label"})
    train, test = split(spark.createDataFrame(frame), 0.25, seed=1)
    test = test.persist()
    folder = tmp_path_factory.mktemp("digits")
    (folder / "nets.py").write_text(FILE)
    data = partition(train, str(folder / "shards"), label="label", shards=4, seed=0)
    return data, test, folder


@pytest.fixture(scope="module")
def fitted(digits):
    data, _, folder = digits
    learner = DeepEnsembleClassifier(
        builder=f"{folder / 'nets.py'}:build",
        numMembers=2,
        epochs=4,
        batchSize=32,
        seed=5,
        modelDir=str(folder / "model"),
    )
    two = learner.fit(data)
    # The same with a third member: those that are there stay.
    stamps = [_network(folder, k).stat().st_mtime_ns for k in range(2)]
    three = learner.copy().setParams(numMembers=3, resume=True).fit(data)
    kept = [_network(folder, k).stat().st_mtime_ns for k in range(2)] == stamps
    return two, three, kept


def _network(folder, member):
    return folder / f"model/members/{member:03d}/model.keras"


def _columns(model, frame, *names):
    rows = model.transform(frame).select(*names).collect()
    return [np.array([r[i] for r in rows]) for i in range(len(names))]


@pytest.mark.long
def test_members_are_added_to_those_that_are_there(fitted):
    two, three, kept = fitted
    assert kept
    assert three.summary["members"][:2] == two.summary["members"]
    seeds = [m["seed"] for m in three.summary["members"]]
    assert seeds[0] == 5
    assert len(set(seeds)) == 3
    assert len({file.sha256 for file in three.files}) == 3


@pytest.mark.long
def test_the_vote_is_the_mean_and_shows_how_far_members_agree(fitted, digits):
    model, test = fitted[1], digits[1]
    label, prediction, p, entropy, apart = _columns(
        model, test, "label", "prediction", "probability", "entropy", "mutualInformation"
    )
    members = np.stack([_columns(m, test, "probability")[0] for m in model.members])
    np.testing.assert_allclose(p, members.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(np.stack([entropy, apart], 1), uncertainty(members), atol=1e-5)
    right = label == prediction
    assert right.mean() > 0.9
    assert right.mean() >= max((m.argmax(axis=1) == label).mean() for m in members) - 0.02
    # What is uncertain is more often wrong.
    assert entropy[~right].mean() > 2 * entropy[right].mean()


@pytest.mark.long
def test_a_saved_ensemble_predicts_the_same(fitted, digits, tmp_path):
    model, test = fitted[1], digits[1]
    model.setParams(entropyCol="doubt", mutualInformationCol="")
    model.save(str(tmp_path / "copy"))
    again = load_model(str(tmp_path / "copy"))
    frame = again.transform(test)
    assert "doubt" in frame.columns
    assert "mutualInformation" not in frame.columns
    for found, wanted in zip(
        _columns(again, test, "probability", "doubt"),
        _columns(model, test, "probability", "doubt"),
        strict=True,
    ):
        np.testing.assert_array_equal(found, wanted)
    assert "3 networks, 10 classes" in repr(again)
    assert "peak memory" in again._repr_html_()


def test_networks_and_trees_vote_together(fitted, digits):
    data, test, _ = digits
    bags = BaggingClassifier(estimator=DecisionTreeClassifier(), numMembers=4).fit(data)
    both = vote([fitted[1], fitted[1].members[0], bags], weights=[2, 1, 1])
    (p,) = _columns(both, test, "probability")
    own = [_columns(m, test, "probability")[0] for m in both.models]
    np.testing.assert_allclose(p, (2 * own[0] + own[1] + own[2]) / 4, atol=1e-6)


def test_members_may_learn_from_shards_of_their_own(digits):
    data = digits[0]
    learner = DeepEnsembleClassifier(builder="mlp", numMembers=3, shardsPerMember=3, seed=1)
    drawn = learner._shards(data, 4)
    assert all(len(set(shards)) == 3 for shards in drawn)
    counts = np.bincount(np.concatenate(drawn), minlength=4)
    assert counts.tolist() == [3, 3, 3, 3]
    assert learner._shards(data, 3) == drawn[:3]


@pytest.mark.long
def test_a_member_that_fails_is_named(digits):
    data, _, folder = digits
    learner = DeepEnsembleClassifier(
        builder=f"{folder / 'nets.py'}:breaks", numMembers=2, parallelism=1, epochs=1
    )
    with pytest.raises(ConfigurationError, match="no such luck") as caught:
        learner.fit(data)
    assert caught.value.code == "builder_failed"
    assert "Member 0 of 2" in caught.value.message


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"numMembers": 0}, "invalid_param"),
        ({"parallelism": 0}, "invalid_param"),
        ({"shardsPerMember": 5}, "invalid_param"),
        ({"numRanks": 50}, "too_few_slots"),
    ],
)
def test_what_is_refused_before_any_job(digits, params, code):
    from sparkml_dist.errors import SparkMLDistError

    with pytest.raises(SparkMLDistError) as caught:
        DeepEnsembleClassifier(builder="mlp", **params).fit(digits[0])
    assert caught.value.code == code
