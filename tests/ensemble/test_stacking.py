"""Stacking against scikit-learn in RAM, and the proof that nothing leaks into level one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, RidgeClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.tree import DecisionTreeClassifier

from sparkml_dist import load_model, open_partitioned, partition, split
from sparkml_dist.dataset.subsets import Fold
from sparkml_dist.ensemble.stacking.level_one import meta_groups
from sparkml_dist.ensemble.stacking.stacking import StackingClassifier, StackingRegressor
from sparkml_dist.errors import ConfigurationError, DataError, StorageError, TrainingError

BASES = [("bayes", GaussianNB()), ("near", KNeighborsClassifier(3))]


@pytest.fixture(scope="module")
def digits(spark):
    frame = load_digits(as_frame=True).frame.rename(columns={"target": "label"})
    return [part.persist() for part in split(spark.createDataFrame(frame), 0.25, seed=1)]


@pytest.fixture(scope="module")
def one(digits, tmp_path_factory):
    return partition(digits[0], tmp_path_factory.mktemp("a") / "d", label="label", shards=1)


@pytest.fixture(scope="module")
def shards(digits, tmp_path_factory):
    return partition(digits[0], tmp_path_factory.mktemp("b") / "d", label="label", shards=3)


@pytest.fixture(scope="module")
def cancer(spark, tmp_path_factory):
    frame = load_breast_cancer(as_frame=True).frame.rename(columns={"target": "label"})
    path = tmp_path_factory.mktemp("c") / "d"
    return partition(spark.createDataFrame(frame), path, label="label", shards=2)


def folds_of(key, n, seed):
    return np.argmax([Fold(n, i, seed).mask(key) for i in range(n)], axis=0)


def accuracy(model, frame):
    rows = model.transform(frame).select("label", "prediction").collect()
    return np.mean([r[0] == r[1] for r in rows])


@pytest.mark.parametrize("passthrough", [False, True])
def test_one_shard_is_scikit_learn(one, passthrough):
    """Level one is what cross_val_predict gives on the same folds, and the rest follows."""
    final = GaussianNB() if passthrough else LogisticRegression(max_iter=1000)
    settings = {"finalEstimator": final} if passthrough else {}
    model = StackingClassifier(
        estimators=BASES, numFolds=4, seed=5, passthrough=passthrough, keepLevelOne=True, **settings
    ).fit(one)
    block, level_one = one.read_block(0), model.levelOne.read_block(0)
    cv = PredefinedSplit(folds_of(block.key, 4, 5))
    expected = np.hstack(
        [
            cross_val_predict(clone(x), block.X, block.y, cv=cv, method="predict_proba")
            for _, x in BASES
        ]
    )
    expected = np.hstack([expected, block.X]) if passthrough else expected
    assert np.allclose(level_one.X, expected, atol=1e-6)
    assert np.array_equal(level_one.key, block.key)
    assert np.array_equal(level_one.y, block.y)
    assert model.levelOneNames[:11] == [*(f"bayes:{c}" for c in range(10)), "near:0"]
    assert model.levelOneNames[20:] == (one.feature_names if passthrough else [])

    final.fit(level_one.X, block.y)
    fitted = [clone(x).fit(block.X, block.y).predict_proba(block.X) for _, x in BASES]
    features = np.hstack([*fitted, block.X] if passthrough else fitted).astype(np.float32)
    assert np.allclose(model._scorer().load()(block.X), final.predict_proba(features), atol=1e-5)


def test_two_classes_take_one_column_and_groups_are_averaged(cancer):
    stacking = StackingClassifier(estimators=BASES, numFolds=3, seed=2, keepLevelOne=True)
    model = stacking.fit(cancer)
    assert model.levelOneNames == ["bayes:1", "near:1"]
    blocks = [cancer.read_block(s) for s in range(2)]
    for s in range(2):
        expected = np.zeros((len(blocks[s]), 2))
        fold = folds_of(blocks[s].key, 3, 2)
        for f in range(3):
            for b, (_, learner) in enumerate(BASES):
                for block in blocks:
                    seen = folds_of(block.key, 3, 2) != f
                    fitted = clone(learner).fit(block.X[seen], block.y[seen])
                    expected[fold == f, b] += fitted.predict_proba(blocks[s].X[fold == f])[:, 1] / 2
        assert np.allclose(model.levelOne.read_block(s).X, expected, atol=1e-6)
    assert [len(b["members"]) for b in model.content["bases"]] == [2, 2]
    assert model.summary["level_one"]["groups"] == [[0, 1]]
    assert model.summary["fitted_now"] == 2 * 2 * 4 + 1


def test_regression_is_scikit_learns(spark, tmp_path):
    frame = load_diabetes(as_frame=True).frame.rename(columns={"target": "label"})
    data = partition(
        spark.createDataFrame(frame), tmp_path / "d", label="label", shards=1, task="regression"
    )
    bases = [("line", LinearRegression()), ("near", KNeighborsRegressor(7))]
    model = StackingRegressor(estimators=bases, keepLevelOne=True).fit(data)
    block = data.read_block(0)
    cv = PredefinedSplit(folds_of(block.key, 5, 0))
    expected = [cross_val_predict(clone(x), block.X, block.y, cv=cv) for _, x in bases]
    level_one = model.levelOne.read_block(0)
    assert model.levelOneNames == ["line", "near"]
    assert np.allclose(level_one.X, np.transpose(expected), rtol=1e-5)
    assert np.array_equal(level_one.y, block.y)
    final = Ridge().fit(level_one.X, block.y)
    outputs = [clone(x).fit(block.X, block.y).predict(block.X) for _, x in bases]
    shown = model._scorer().load()(block.X)
    assert np.allclose(shown, final.predict(np.transpose(outputs)), rtol=1e-4)
    predicted = model.transform(spark.createDataFrame(frame)).select("prediction").count()
    assert predicted == len(frame)


def test_a_memoriser_of_noise_gets_no_weight(spark, tmp_path):
    """Labels are random for all but one feature; the memoriser knows every label that it saw."""
    rng = np.random.default_rng(0)
    n = 4000
    X = rng.normal(size=(n, 6)).astype(np.float32)
    y = ((X[:, 0] > 0) ^ (rng.random(n) < 0.35)).astype(int)
    frame = pd.DataFrame(X, columns=list("abcdef")).assign(label=y)
    data = partition(spark.createDataFrame(frame), tmp_path / "d", label="label", shards=2)
    bases = [
        ("memory", KNeighborsClassifier(1)),
        ("stump", DecisionTreeClassifier(max_depth=1)),
    ]
    model = StackingClassifier(estimators=bases, shardsPerMember=2).fit(data)
    memory, stump = model.finalLearners()[0].coef_[0]
    assert abs(memory) < 0.25
    assert stump > 2

    # What level one would be if bases judged rows that they have seen: the final estimator
    # believes the memoriser, and nothing else, and is right in no more rows than it is.
    block = data.read_block([0, 1])
    bases_seen = [clone(x).fit(block.X, block.y) for _, x in bases]
    seen = np.stack([b.predict_proba(block.X)[:, 1] for b in bases_seen], axis=1)
    fooled = LogisticRegression(max_iter=1000).fit(seen, block.y)
    assert fooled.coef_[0][0] > 5
    fresh = rng.normal(size=(n, 6)).astype(np.float32)
    truth = fresh[:, 0] > 0
    told = np.stack([b.predict_proba(fresh)[:, 1] for b in bases_seen], axis=1)
    assert np.mean(fooled.predict(told) == truth) < 0.75
    assert np.mean(model._scorer().load()(fresh).argmax(axis=1) == truth) > 0.95


def test_it_is_as_good_as_its_best_base(shards, digits):
    bases = [*BASES, ("tree", DecisionTreeClassifier(max_depth=6))]
    model = StackingClassifier(estimators=bases, shardsPerMember=3, seed=1).fit(shards)
    block = shards.read_block([0, 1, 2])
    test = digits[1].toPandas()
    X, y = test.drop(columns="label").to_numpy(np.float32), test.label.to_numpy()
    said = [clone(x).fit(block.X, block.y).predict_proba(X) for _, x in bases]
    ours = model._scorer().load()(X)
    assert log_loss(y, ours) < min(log_loss(y, p) for p in said)
    right = max(np.mean(p.argmax(axis=1) == y) for p in said)
    error = np.sqrt(right * (1 - right) / len(y))
    assert np.mean(ours.argmax(axis=1) == y) >= right - 2 * error


def test_a_resumed_fit_is_the_same_model(shards, tmp_path):
    settings = {"estimators": BASES, "numFolds": 3, "modelDir": str(tmp_path / "m"), "seed": 4}
    first = StackingClassifier(**settings, keepLevelOne=True).fit(shards)
    assert first.summary["fitted_now"] == 2 * 3 * 4 + 1
    # A driver that was lost after two of the shards of level one were written.
    folder = tmp_path / "m"
    (folder / "manifest.json").unlink()
    (folder / "meta" / "complete.json").unlink()
    (folder / "meta" / "members" / "member-00000.json").unlink()
    (folder / "level-one" / "shard-00001.json").unlink()
    (folder / "members" / "member-00002.json").unlink()
    again = StackingClassifier(**settings, keepLevelOne=True, resume=True).fit(shards)
    # Members of folds had been deleted; of those that stay, one was missing.
    assert again.summary["fitted_now"] == 2 * 3 * 3 + 1 + 1
    assert again.content == first.content
    assert _hashes(again) == _hashes(first)
    assert len(_hashes(first)) == 6 + 1 + 3
    # And once more: nothing is missing but the final estimator.
    (folder / "meta" / "members" / "member-00000.skops").unlink()
    done = StackingClassifier(**settings, keepLevelOne=True, resume=True).fit(shards)
    assert done.summary["fitted_now"] == 2 * 3 * 3 + 1
    assert done.content == first.content
    with pytest.raises(ConfigurationError, match="numFolds|without"):
        StackingClassifier(**(settings | {"numFolds": 4}), resume=True).fit(shards)


def _hashes(model):
    """Return what must not differ; records beside members tell times."""
    return {f.name: f.sha256 for f in model.files if not f.name.endswith(".json")}


def test_bases_that_fail_leave_the_others_for_the_next_run(shards, tmp_path):
    settings = {"numFolds": 2, "modelDir": str(tmp_path / "m")}
    bad = [("bayes", GaussianNB()), ("few", GaussianNB(priors=[0.5, 0.5]))]
    with pytest.raises(TrainingError, match="9 of 18 members failed"):
        StackingClassifier(estimators=bad, **settings).fit(shards)
    assert len(list((tmp_path / "m" / "members").glob("*.json"))) == 9


def test_the_rest_is_deleted_and_the_model_travels(shards, digits, tmp_path):
    settings = {"estimators": BASES, "numFolds": 2, "modelDir": str(tmp_path / "m")}
    model = StackingClassifier(**settings).fit(shards)
    names = sorted(p.name for p in (tmp_path / "m").iterdir())
    assert names == ["manifest.json", "members", "meta", "metadata", "plan.json"]
    assert len(list((tmp_path / "m" / "members").iterdir())) == 2 * 6
    with pytest.raises(ConfigurationError, match="keepLevelOne"):
        _ = model.levelOne
    model.save(str(tmp_path / "copy"))
    again = load_model(str(tmp_path / "copy"))
    assert again.finalLearners()[0].coef_.shape == (10, 20)
    assert accuracy(again, digits[1]) == accuracy(model, digits[1]) > 0.9
    file = next((tmp_path / "copy" / "meta" / "members").glob("*.skops"))
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(StorageError, match="file_altered"):
        load_model(str(tmp_path / "copy"))


@pytest.mark.modes("connect")
def test_the_same_in_every_mode(spark, tmp_path):
    frame = load_iris(as_frame=True).frame.round(3)
    names = np.array(["setosa", "versicolor", "virginica"])
    frame["target"] = names[frame["target"]]
    df = spark.createDataFrame(frame)
    stacking = StackingClassifier(
        estimators=[("tree", DecisionTreeClassifier(max_depth=2)), ("bayes", GaussianNB())],
        numFolds=3,
        labelCol="target",
        numShards=2,
        modelDir=str(tmp_path / "m"),
        keepLevelOne=True,
    )
    model = load_model(str(stacking.fit(df) and tmp_path / "m"))
    assert model.levelOneNames[:2] == ["tree:setosa", "tree:versicolor"]
    rows = model.transform(df).select("target", "predictedLabel", "probability").collect()
    assert np.mean([r[0] == r[1] for r in rows]) > 0.93
    assert all(abs(sum(r[2]) - 1) < 1e-6 for r in rows)
    level_one = open_partitioned(str(tmp_path / "m" / "level-one"))
    assert level_one.n_rows == len(frame)
    assert level_one.classes == list(names)


def test_weights_strings_and_sparse_rows_reach_level_one(spark, tmp_path):
    from pyspark.ml.linalg import Vectors

    rng = np.random.default_rng(1)
    X = rng.integers(0, 2, (300, 12)) * rng.integers(0, 2, (300, 12))
    kind = np.where(X[:, 0] + X[:, 1] > 0, "yes", "no")
    rows = [
        (Vectors.sparse(12, np.flatnonzero(x), x[x != 0].astype(float)), k, float(w))
        for x, k, w in zip(X, kind.tolist(), rng.random(300) + 0.5)
    ]
    df = spark.createDataFrame(rows, ["features", "kind", "w"])
    data = partition(df, tmp_path / "d", label="kind", features="features", weight="w", shards=2)
    assert data.layout == "sparse"
    bases = [("bayes", GaussianNB()), ("line", LogisticRegression()), ("votes", RidgeClassifier())]
    model = StackingClassifier(
        estimators=bases,
        finalEstimator=RidgeClassifier(),
        numFolds=2,
        passthrough=True,
        keepLevelOne=True,
    ).fit(data)
    level_one, block = model.levelOne.read_block(1), data.read_block(1)
    assert model.levelOne.layout == "sparse"
    assert np.array_equal(level_one.weight, block.weight)
    assert np.array_equal(level_one.X[:, 3:].toarray(), block.X.toarray())
    # Ridge has no probabilities: the share of its members' votes.
    assert set(np.unique(level_one.X[:, 2].toarray())) <= {0.0, 0.5, 1.0}
    shown = model.transform(df).select("kind", "predictedLabel", "probability").collect()
    assert np.mean([r[0] == r[1] for r in shown]) > 0.95
    assert {tuple(r[2].toArray()) for r in shown} == {(0.0, 1.0), (1.0, 0.0)}  # a vote


def test_a_class_that_a_fold_lacks_is_padded(spark, tmp_path):
    """The rare class has one key: its rows are all in one fold, where no base knows of it."""
    rng = np.random.default_rng(2)
    X = rng.normal(size=(240, 3))
    y = np.where(np.arange(240) < 6, 1, np.where(X[:, 0] > 0, 2, 0))
    key = np.where(y == 1, -1, np.arange(240))
    frame = pd.DataFrame(X, columns=list("abc")).assign(label=y, key=key)
    df = spark.createDataFrame(frame)
    data = partition(df, tmp_path / "d", label="label", features="[abc]", key="key", shards=1)
    model = StackingClassifier(estimators=[("bayes", GaussianNB())], keepLevelOne=True).fit(data)
    block, level_one = data.read_block(0), model.levelOne.read_block(0)
    rare = block.y == 1
    fold = folds_of(block.key, 5, 0)
    assert len(set(fold[rare])) == 1
    same = fold == fold[rare][0]
    assert (level_one.X[same, 1] == 0).all()
    others = fold != fold[rare][0]
    assert (level_one.X[others, 1] > 0).any()
    assert np.allclose(level_one.X.sum(axis=1), 1)
    seen = GaussianNB().fit(block.X[~same], block.y[~same])
    assert seen.classes_.tolist() == [0, 2]
    assert np.allclose(level_one.X[same][:, [0, 2]], seen.predict_proba(block.X[same]), atol=1e-6)


def test_one_key_for_all_rows_is_an_error(spark, tmp_path):
    frame = pd.DataFrame({"a": np.arange(60.0), "label": np.arange(60) % 2, "key": 1})
    df = spark.createDataFrame(frame)
    data = partition(df, tmp_path / "d", label="label", features="a", key="key", shards=1)
    with pytest.raises(DataError) as error:
        StackingClassifier(estimators=BASES[:1]).fit(data)
    assert error.value.code == "no_training_rows"


def test_groups_of_level_one_fit_the_memory(shards):
    size = sum(s.block_bytes for s in shards.shards)
    assert meta_groups(shards.shards, 3 * size) == [(0, 1, 2)]
    assert meta_groups(shards.shards, 3 * size - 9) == [(0, 1), (2,)]
    assert meta_groups(shards.shards, size) == [(0,), (1,), (2,)]
    model = StackingClassifier(estimators=BASES[:1], numFolds=2, memoryPerTask="100k").fit(shards)
    assert len(model.finalLearners()) == 2
    assert model.content["final"]["members"][0]["file"] == "members/member-00000.skops"


@pytest.mark.parametrize(
    ("settings", "code", "text"),
    [
        ({"numFolds": 1}, "invalid_param", "numFolds must be >= 2. Got 1."),
        ({"finalEstimator": Ridge()}, "not_a_classifier", "finalEstimator must be a classifier"),
        ({"estimators": [BASES[0], BASES[0]]}, "duplicate_names", "must differ"),
        ({"estimators": [("a:b", GaussianNB())]}, "invalid_param", "'a:b'"),
        ({"estimators": []}, "no_estimator", "needs estimators"),
        ({"estimators": [("p", RidgeClassifier)]}, "not_an_estimator", "RidgeClassifier"),
        ({"estimators": [("r", Ridge())]}, "not_a_classifier", "Ridge"),
        ({"shardsPerMember": 9}, "invalid_param", "has 3 shards"),
        ({"memoryPerTask": "lots"}, "invalid_param", "lots"),
    ],
)
def test_bad_settings(shards, settings, code, text):
    with pytest.raises(ConfigurationError, match=text) as error:
        StackingClassifier(**({"estimators": BASES} | settings)).fit(shards)
    assert error.value.code == code


def test_names_of_features_may_not_clash(spark, tmp_path):
    frame = pd.DataFrame({"bayes:1": np.arange(40.0), "label": np.arange(40) % 2})
    data = partition(spark.createDataFrame(frame), tmp_path / "d", label="label", shards=1)
    with pytest.raises(ConfigurationError, match="'bayes:1'") as error:
        StackingClassifier(estimators=BASES[:1], passthrough=True).fit(data)
    assert error.value.code == "duplicate_names"
    assert StackingClassifier(estimators=BASES[:1]).fit(data).levelOneNames == ["bayes:1"]


def test_the_estimator_is_saved_with_its_learners(tmp_path):
    stacking = StackingClassifier(
        estimators=BASES, finalEstimator=DecisionTreeClassifier(max_depth=2), numFolds=7
    )
    stacking.save(str(tmp_path / "s"))
    again = StackingClassifier.load(str(tmp_path / "s"))
    assert [n for n, _ in again.getEstimators()] == ["bayes", "near"]
    assert again.getFinalEstimator().max_depth == 2
    assert again.getNumFolds() == 7
