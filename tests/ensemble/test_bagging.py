"""Bagging against scikit-learn in RAM, and against its own promises."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import load_digits, load_iris
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from sparkml_dist import BaggingClassifier, VotingClassifier, load_model, partition, split
from sparkml_dist.errors import (
    ConfigurationError,
    DataError,
    SparkMLDistError,
    StorageError,
    TrainingError,
)
from sparkml_dist.members.sampling import member_seed, poisson_counts
from sparkml_dist.persistence.learners import load_learner


@pytest.fixture(scope="module")
def digits(spark):
    frame = load_digits(as_frame=True).frame.rename(columns={"target": "label"})
    return [part.persist() for part in split(spark.createDataFrame(frame), 0.25, seed=1)]


@pytest.fixture(scope="module")
def shards(digits, tmp_path_factory):
    return partition(digits[0], tmp_path_factory.mktemp("shards") / "d", label="label", shards=3)


@pytest.fixture(scope="module")
def one_shard(digits, tmp_path_factory):
    return partition(digits[0], tmp_path_factory.mktemp("shards") / "d", label="label", shards=1)


def probabilities(model, frame):
    rows = model.transform(frame).select("probability").collect()
    return np.array([r[0].toArray() for r in rows])


def matrix(frame):
    pandas = frame.toPandas()
    return pandas.drop(columns="label").to_numpy(np.float32), pandas.label.to_numpy()


def accuracy(model, frame):
    rows = model.transform(frame).select("label", "prediction").collect()
    return np.mean([r[0] == r[1] for r in rows])


@pytest.mark.parametrize(
    "learner",
    [
        DecisionTreeClassifier(max_features="sqrt"),
        LogisticRegression(max_iter=30),
        HistGradientBoostingClassifier(max_iter=5),
    ],
    ids=lambda x: type(x).__name__,
)
def test_one_shard_is_plain_scikit_learn(learner, one_shard, digits):
    """One member on one whole shard: the same learner, to the bit."""
    model = BaggingClassifier(estimator=learner, numMembers=1, method="pasting", seed=4).fit(
        one_shard
    )
    block = one_shard.read_block(0)
    plain = clone(learner)
    if "random_state" in plain.get_params():
        plain.set_params(random_state=member_seed(4, 0))
    plain.fit(block.X, block.y)
    X, _ = matrix(digits[1])
    file = model.content["members"][0]["file"]
    fitted = load_learner(model.folder.read_bytes(file), file)
    assert np.array_equal(fitted.predict_proba(X), plain.predict_proba(X))
    # Blocks of other lengths take other ways through BLAS, whose sums differ in their last bits.
    expected = plain.predict_proba(X).astype(np.float32)
    assert np.allclose(probabilities(model, digits[1]), expected, atol=1e-6)


def test_members_are_bootstraps_of_their_shards(shards, digits):
    learner = DecisionTreeClassifier()
    model = BaggingClassifier(estimator=learner, numMembers=5, maxSamples=1.0, seed=2).fit(shards)
    X, _ = matrix(digits[1])
    votes = np.zeros((len(X), 10))
    for m in range(5):
        block = shards.read_block(m % 3)
        counts = poisson_counts(block.key, 1.0, 2, m)
        plain = clone(learner).set_params(random_state=member_seed(2, m))
        plain.fit(block.X, block.y, sample_weight=counts)
        votes += plain.predict_proba(X)
        assert model.summary["members"][m]["shards"] == [m % 3]
        assert model.summary["members"][m]["bag_rows"] == counts.sum()
    assert np.allclose(probabilities(model, digits[1]), votes / 5, atol=1e-7)


def test_the_first_member_of_a_shard_learns_from_all_of_it(shards):
    model = BaggingClassifier(estimator=DecisionTreeClassifier(), numMembers=5, seed=2).fit(shards)
    bags = [(m["bag_rows"], m["rows"]) for m in model.summary["members"]]
    assert all(bag == rows for bag, rows in bags[:3])
    for m, (bag, _) in enumerate(bags[3:], start=3):
        assert bag == poisson_counts(shards.read_block(m % 3).key, 1.0, 2, m).sum()
    assert len({m["sha256"] for m in model.content["members"]}) == 5


def test_a_learner_without_weights_sees_the_same_bag_by_repetition(shards, digits):
    model = BaggingClassifier(estimator=KNeighborsClassifier(5), numMembers=2, maxSamples=1.0).fit(
        shards
    )
    X, _ = matrix(digits[1])
    votes = np.zeros((len(X), 10))
    for m in range(2):
        block = shards.read_block(m)
        rows = np.repeat(np.arange(len(block)), poisson_counts(block.key, 1.0, 0, m))
        votes += KNeighborsClassifier(5).fit(block.X[rows], block.y[rows]).predict_proba(X)
    assert np.allclose(probabilities(model, digits[1]), votes / 2, atol=1e-6)


@pytest.mark.modes
def test_the_same_model_in_every_mode(spark, tmp_path):
    """The numbers stand here, so that every mode is held to the same ones."""
    frame = spark.createDataFrame(load_iris(as_frame=True).frame.round(3))
    bagging = BaggingClassifier(
        estimator=DecisionTreeClassifier(), numMembers=4, labelCol="target", numShards=2, seed=3
    )
    model = bagging.setModelDir(str(tmp_path / "m")).fit(frame)
    found = load_model(str(tmp_path / "m")).transform(frame)
    rows = found.select("target", "prediction", "probability", "rawPrediction").collect()
    assert np.mean([r[0] == r[1] for r in rows]) > 0.93
    assert all(abs(sum(r[2]) - 1) < 1e-6 for r in rows)
    assert np.allclose(
        [r[3].toArray() for r in rows], [4 * r[2].toArray() for r in rows], atol=1e-5
    )
    staged = model.stagedAccuracy(frame)
    assert len(staged) == 4
    assert staged[-1] == pytest.approx(np.mean([r[0] == r[1] for r in rows]))


@pytest.mark.long
@pytest.mark.parametrize(
    ("settings", "least"),
    [
        ({"method": "bagging"}, 0.90),
        ({"method": "pasting", "maxSamples": 0.5}, 0.90),
        ({"method": "subspaces", "maxFeatures": 0.4}, 0.90),
        ({"method": "patches", "voting": "hard"}, 0.88),
        ({"method": "bagging", "shardsPerMember": 2}, 0.90),
    ],
    ids=str,
)
def test_every_method_beats_its_single_member(settings, least, shards, digits):
    model = BaggingClassifier(
        estimator=DecisionTreeClassifier(max_features="sqrt"), numMembers=18, **settings
    ).fit(shards)
    found = accuracy(model, digits[1])
    assert found > least
    staged = model.stagedAccuracy(digits[1])
    assert staged[-1] == pytest.approx(found)
    assert staged[-1] > staged[0] + 0.1


def test_hard_voting_counts_votes(shards, digits):
    model = BaggingClassifier(estimator=RidgeClassifier(), numMembers=6, voting="hard").fit(shards)
    votes = probabilities(model, digits[1]) * 6
    assert np.allclose(votes, votes.round(), atol=1e-5)
    assert accuracy(model, digits[1]) > 0.9


def test_members_that_saw_other_classes_are_padded(spark, tmp_path):
    # 30 rows of a rare class among 3 shards of a bag each: some members never see it.
    rng = np.random.default_rng(0)
    y = np.array(["common"] * 300 + ["other"] * 300 + ["rare"] * 3)
    X = (
        rng.normal(size=(603, 2))
        + np.where(y == "common", 0, np.where(y == "other", 4, -4))[:, None]
    )
    frame = spark.createDataFrame(pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "label": y}))
    model = BaggingClassifier(
        estimator=DecisionTreeClassifier(), numMembers=8, numShards=4, voting="soft"
    ).fit(frame)
    assert model.classes == ["common", "other", "rare"]
    seen = [
        load_learner(model.folder.read_bytes(m["file"]), m["file"]).classes_.tolist()
        for m in model.content["members"]
    ]
    assert any(s == [0, 1] for s in seen), seen
    rows = model.transform(frame).select("label", "predictedLabel", "prediction").collect()
    right = [r for r in rows if r.label != "rare"]
    assert np.mean([r.label == r.predictedLabel for r in right]) > 0.98
    assert {r.predictedLabel: r.prediction for r in rows}.items() <= {
        "common": 0.0,
        "other": 1.0,
        "rare": 2.0,
    }.items()


def test_a_bag_of_one_class_always_predicts_it(spark):
    frame = spark.range(400).selectExpr("id AS x", "IF(id < 2, 'b', 'a') AS label")
    model = BaggingClassifier(estimator=LogisticRegression(), numMembers=6, numShards=6).fit(frame)
    assert any("only one class" in w for m in model.summary["members"] for w in m["warnings"])
    assert accuracy_by_label(model, frame) > 0.98


def accuracy_by_label(model, frame):
    rows = model.transform(frame).select("label", "predictedLabel").collect()
    return np.mean([r[0] == r[1] for r in rows])


def test_weights_are_repetition(spark, tmp_path):
    """A row of weight 3 counts like three rows."""
    rng = np.random.default_rng(1)
    pandas = pd.DataFrame(
        {
            "x": rng.normal(size=300).round(3),
            "label": rng.integers(0, 2, 300),
            "w": rng.integers(1, 4, 300),
        }
    )
    pandas["x"] += pandas.label
    learner = LogisticRegression(C=1e6, tol=1e-10, max_iter=1000)
    weighted = BaggingClassifier(
        estimator=learner, numMembers=1, method="pasting", weightCol="w", numShards=1
    ).fit(spark.createDataFrame(pandas))
    repeated = BaggingClassifier(
        estimator=learner, numMembers=1, method="pasting", numShards=1, featuresCols=["x"]
    ).fit(spark.createDataFrame(pandas.loc[pandas.index.repeat(pandas.w)]))
    coefficients = [
        load_learner(m.folder.read_bytes(m.content["members"][0]["file"]), "").coef_
        for m in (weighted, repeated)
    ]
    assert np.allclose(*coefficients, rtol=1e-3)


@pytest.mark.long
def test_sparse_data_end_to_end(spark):
    frame = spark.range(600).selectExpr(
        "named_struct('size', 300, 'indices', array(int(id % 2) * 7, 20 + int(id % 250)),"
        " 'values', array(1f, 1f)) AS features",
        "id % 2 = 0 AS label",
    )
    for learner in (
        LogisticRegression(),
        DecisionTreeClassifier(),
        HistGradientBoostingClassifier(max_iter=3),
    ):
        model = BaggingClassifier(estimator=learner, numMembers=2, numShards=2).fit(frame)
        rows = model.transform(frame).select("label", "prediction").collect()
        assert np.mean([r[0] == bool(r[1]) for r in rows]) == 1.0, learner


class TestResume:
    """A run that is repeated does only what is missing, and ends with the same model."""

    def estimator(self, folder, **settings):
        settings = {"numMembers": 5, "seed": 9, **settings}
        return BaggingClassifier(
            estimator=DecisionTreeClassifier(), modelDir=str(folder), **settings
        )

    def test_only_missing_members_are_fitted(self, shards, tmp_path):
        whole = self.estimator(tmp_path / "a").fit(shards)
        self.estimator(tmp_path / "b").fit(shards)
        folder = tmp_path / "b"
        (folder / "manifest.json").unlink()
        (folder / "members" / "member-00001.json").unlink()
        (folder / "members" / "member-00003.skops").unlink()
        resumed = self.estimator(folder, resume=True).fit(shards)
        assert resumed.summary["fitted_now"] == 2
        assert [m["sha256"] for m in resumed.content["members"]] == [
            m["sha256"] for m in whole.content["members"]
        ]

    def test_a_resumed_fit_may_add_members(self, shards, tmp_path):
        self.estimator(tmp_path / "a", numMembers=2).fit(shards)
        grown = self.estimator(tmp_path / "a", resume=True).fit(shards)
        assert (grown.summary["fitted_now"], grown.numMembers) == (3, 5)
        whole = self.estimator(tmp_path / "b").fit(shards)
        assert [m["sha256"] for m in grown.content["members"]] == [
            m["sha256"] for m in whole.content["members"]
        ]
        assert load_model(str(tmp_path / "a")).numMembers == 5
        with pytest.raises(ConfigurationError, match="members: 5 before, 3 now"):
            self.estimator(tmp_path / "a", numMembers=3, resume=True).fit(shards)

    def test_an_existing_model_is_not_replaced_unasked(self, shards, tmp_path):
        self.estimator(tmp_path / "a").fit(shards)
        with pytest.raises(StorageError, match="output_exists"):
            self.estimator(tmp_path / "a").fit(shards)
        model = self.estimator(tmp_path / "a", overwrite=True, seed=1).fit(shards)
        assert model.summary["fitted_now"] == 5

    def test_another_plan_is_refused_with_the_difference(self, shards, tmp_path):
        self.estimator(tmp_path / "a").fit(shards)
        with pytest.raises(ConfigurationError, match="seed: 9 before, 10 now"):
            self.estimator(tmp_path / "a", resume=True, seed=10).fit(shards)

    def test_a_folder_of_something_else_is_not_replaced(self, shards, tmp_path):
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "mine.txt").write_text("x")
        with pytest.raises(StorageError, match="output_exists"):
            self.estimator(tmp_path / "a", overwrite=True).fit(shards)
        assert (tmp_path / "a" / "mine.txt").exists()


class Brittle(ClassifierMixin, BaseEstimator):
    """Fails on bags whose first feature sums to more than a limit."""

    def __init__(self, limit=0.0):
        self.limit = limit

    def fit(self, X, y):
        if X[:, 0].mean() > self.limit:
            raise RuntimeError("cannot learn from this")
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


def test_a_failing_member_is_named_and_the_others_stay(shards, tmp_path):
    with pytest.raises(TrainingError) as caught:
        BaggingClassifier(
            estimator=Brittle(-1.0),
            numMembers=3,
            voting="hard",
            modelDir=str(tmp_path / "m"),
        ).fit(shards)
    assert caught.value.code == "member_failed"
    assert "3 of 3 members failed; member 0 on shard 0" in caught.value.message
    assert "cannot learn from this" in caught.value.message
    assert not (tmp_path / "m" / "manifest.json").exists()


def test_untrusted_types_are_refused_when_they_are_written(shards):
    with pytest.raises(StorageError) as caught:
        BaggingClassifier(estimator=Brittle(1e9), numMembers=1, voting="hard").fit(shards)
    assert caught.value.code == "untrusted_type"
    assert "Brittle" in caught.value.message


def test_missing_values_name_learner_and_column(spark):
    frame = spark.range(50).selectExpr(
        "IF(id = 3, NULL, id) AS x", "id * 2 AS z", "id % 2 AS label"
    )
    with pytest.raises(DataError, match="LogisticRegression does not accept missing values.*: x"):
        BaggingClassifier(estimator=LogisticRegression(), numShards=1).fit(frame)
    model = BaggingClassifier(estimator=DecisionTreeClassifier(), numShards=1, numMembers=1).fit(
        frame
    )
    assert model.transform(frame).where("prediction IS NULL").count() == 0


def test_scoring_data_without_a_feature(spark, shards):
    model = BaggingClassifier(estimator=DecisionTreeClassifier(), numMembers=1).fit(shards)
    with pytest.raises(DataError, match="pixel_0_0"):
        model.transform(spark.range(3))


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"estimator": None}, "no_estimator"),
        ({"numMembers": 0}, "invalid_param"),
        ({"voting": "loud"}, "invalid_param"),
        ({"shardsPerMember": 9}, "invalid_param"),
        ({"method": "boosting"}, "invalid_param"),
        ({"numMember": 3}, "unknown_param"),
        ({"numMembers": "many"}, "invalid_param"),
    ],
)
def test_settings_are_checked(settings, code, shards):
    with pytest.raises(SparkMLDistError) as caught:
        BaggingClassifier(**{"estimator": DecisionTreeClassifier(), **settings}).fit(shards)
    assert caught.value.code == code


class TestVoting:
    def test_is_the_weighted_mean_of_its_learners(self, one_shard, digits):
        tree, logistic = DecisionTreeClassifier(random_state=0), LogisticRegression(max_iter=20)
        model = VotingClassifier(
            estimators=[("tree", tree), ("logistic", logistic)], weights=[1.0, 3.0]
        ).fit(one_shard)
        block = one_shard.read_block(0)
        X, _ = matrix(digits[1])
        trees = clone(tree).set_params(random_state=member_seed(0, 0)).fit(block.X, block.y)
        lines = clone(logistic).set_params(random_state=member_seed(0, 1)).fit(block.X, block.y)
        expected = (trees.predict_proba(X) + 3 * lines.predict_proba(X)) / 4
        assert np.allclose(probabilities(model, digits[1]), expected, atol=1e-6)

    def test_every_learner_on_every_shard(self, shards):
        model = VotingClassifier(
            estimators=[("a", DecisionTreeClassifier(max_depth=2)), ("b", KNeighborsClassifier())]
        ).fit(shards)
        assert model.numMembers == 6
        assert [m["shards"] for m in model.summary["members"]] == [[0], [1], [2]] * 2

    @pytest.mark.parametrize(
        ("settings", "code"),
        [
            ({"estimators": []}, "no_estimator"),
            ({"weights": [1.0]}, "invalid_param"),
            ({"weights": [0.0, 0.0]}, "invalid_param"),
        ],
    )
    def test_settings_are_checked(self, settings, code, shards):
        pair = [("a", DecisionTreeClassifier()), ("b", DecisionTreeClassifier())]
        with pytest.raises(ConfigurationError) as caught:
            VotingClassifier(**{"estimators": pair, **settings}).fit(shards)
        assert caught.value.code == code


def test_the_summary_is_json_with_what_happened(shards):
    model = BaggingClassifier(estimator=DecisionTreeClassifier(), numMembers=2).fit(shards)
    summary = json.loads(json.dumps(model.summary))
    assert summary["peak_worker_rss_mb"] > 50
    for member in summary["members"]:
        # The kernel brings its counters of a process up to date some pages late.
        assert member["peak_rss"] >= 0.99 * member["base_rss"] > 0
        assert member["task_seconds"] >= member["seconds"] > 0
