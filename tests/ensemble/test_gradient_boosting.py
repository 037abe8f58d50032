"""Gradient boosting against scikit-learn's in RAM, and against its own promises."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_digits
from sklearn.ensemble import GradientBoostingClassifier as PlainClassifier
from sklearn.ensemble import GradientBoostingRegressor as PlainRegressor
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import log_loss, r2_score
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from sparkml_dist import load_model, partition
from sparkml_dist.dataset.subsets import Validation
from sparkml_dist.ensemble.gradient_boosting.gradient_boosting import (
    GradientBoostingClassificationModel,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
)
from sparkml_dist.ensemble.gradient_boosting.run import GradientRun
from sparkml_dist.errors import ConfigurationError, DataError, TrainingError
from tests.long import cases

# What scikit-learn's own boosting is made of.
TREE = DecisionTreeRegressor(max_depth=3)
HISTOGRAM = HistGradientBoostingRegressor(max_iter=1, learning_rate=1.0, max_leaf_nodes=8)


def three_classes(n, seed=0):
    """Continuous features, so that no two splits are equally good."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 4)).astype(np.float32)
    noise = rng.normal(scale=0.5, size=n)
    y = np.digitize(X[:, 0] + X[:, 1] * X[:, 2] + noise, [-0.5, 0.7])
    return pd.DataFrame(X, columns=list("abcd")).assign(label=y)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("shards")


@pytest.fixture(scope="module")
def diabetes(spark, home):
    frame = load_diabetes(as_frame=True).frame.rename(columns={"target": "label"})
    df = spark.createDataFrame(frame)
    return partition(df, home / "diabetes", label="label", shards=1, task="regression")


@pytest.fixture(scope="module")
def two(spark, home):
    frame = three_classes(400)
    df = spark.createDataFrame(frame.assign(label=frame.label > 0))
    return partition(df, home / "two", label="label", shards=1)


@pytest.fixture(scope="module")
def thirds(spark, home):
    df = spark.createDataFrame(three_classes(1500))
    return partition(df, home / "thirds", label="label", shards=3)


def scores(model, X):
    return model._scorer().load()(X)


@pytest.mark.parametrize("search", ["leaf", "stage", "none"])
def test_squared_error_on_one_shard_is_scikit_learns(diabetes, search):
    settings = {"estimator": TREE, "numMembers": 20, "lineSearch": search}
    model = GradientBoostingRegressor(**settings).fit(diabetes)
    block = diabetes.read_block(0)
    plain = PlainRegressor(n_estimators=20, max_depth=3).fit(block.X, block.y)
    assert np.allclose(scores(model, block.X), plain.predict(block.X), rtol=0, atol=1e-6)
    assert np.allclose([s["steps"] for s in model.content["stages"]], 1.0)


@pytest.mark.parametrize("name", ["absolute_error", "huber"])
def test_robust_losses_are_near_scikit_learns(diabetes, name):
    """Gradients are signs, or cut: ties between splits are broken by chance there as here."""
    model = GradientBoostingRegressor(estimator=TREE, numMembers=30, loss=name).fit(diabetes)
    linear = GradientBoostingRegressor(estimator=Ridge(0.01), numMembers=30, loss=name)
    block = diabetes.read_block(0)
    plain = PlainRegressor(n_estimators=30, max_depth=3, loss=name).fit(block.X, block.y)
    expected = r2_score(block.y, plain.predict(block.X))
    assert r2_score(block.y, scores(model, block.X)) == pytest.approx(expected, abs=0.03)
    assert r2_score(block.y, scores(linear.fit(diabetes), block.X)) > 0.4


def test_two_classes_on_one_shard_are_scikit_learns(two):
    model = GradientBoostingClassifier(estimator=TREE, numMembers=20).fit(two)
    block = two.read_block(0)
    plain = PlainClassifier(n_estimators=20).fit(block.X, block.y)
    assert np.allclose(scores(model, block.X), plain.predict_proba(block.X), rtol=0, atol=1e-6)


def test_more_classes_on_one_shard_are_scikit_learns(spark, home):
    df = spark.createDataFrame(three_classes(300))
    data = partition(df, home / "three", label="label", shards=1)
    model = GradientBoostingClassifier(estimator=TREE, numMembers=8).fit(data)
    block = data.read_block(0)
    plain = PlainClassifier(n_estimators=8).fit(block.X, block.y)
    assert np.allclose(scores(model, block.X), plain.predict_proba(block.X), rtol=0, atol=1e-6)


def test_newton_steps_of_rows(two):
    """A linear learner that is fitted to them ends where logistic regression does."""
    block = two.read_block(0)
    model = GradientBoostingClassifier(
        estimator=LinearRegression(), numMembers=25, learningRate=1.0
    ).fit(two)
    plain = LogisticRegression(C=np.inf, tol=1e-8).fit(block.X, block.y)
    assert np.allclose(scores(model, block.X), plain.predict_proba(block.X), atol=1e-4)


def test_digits(spark, home):
    frame = load_digits(as_frame=True).frame.rename(columns={"target": "label"})
    train, test = frame.iloc[::2], frame.iloc[1::2]
    data = partition(spark.createDataFrame(train), home / "digits", label="label", shards=1)
    model = GradientBoostingClassifier(estimator=TREE, numMembers=8).fit(data)
    X, y = test.drop(columns="label").to_numpy(np.float32), test.label.to_numpy()
    block = data.read_block(0)
    found = np.mean(scores(model, X).argmax(axis=1) == y)
    plain = PlainClassifier(n_estimators=8, random_state=0).fit(block.X, block.y)
    single = DecisionTreeClassifier(random_state=0).fit(block.X, block.y)
    assert found > single.score(X, y) + 0.03
    assert found == pytest.approx(plain.score(X, y), abs=0.025)


@pytest.mark.parametrize(
    ("learner", "settings"),
    [
        (TREE, {"shardsPerMember": 3}),
        pytest.param(HISTOGRAM, {"lineSearch": "stage"}, marks=pytest.mark.long),
        (HISTOGRAM, {"shardsPerMember": 1, "maxSamples": 0.7}),
        pytest.param(KNeighborsRegressor(20), {"shardsPerMember": 2}, marks=pytest.mark.long),
    ],
    ids=["trees-3", "histograms-2", "histograms-1", "neighbours-2"],
)
def test_several_shards(thirds, learner, settings):
    settings = {"estimator": learner, "numMembers": 8, "learningRate": 0.5} | settings
    model = GradientBoostingClassifier(**settings).fit(thirds)
    test = three_classes(2000, seed=1)
    X = test.drop(columns="label").to_numpy()
    found = log_loss(test.label, scores(model, X))
    start = np.tile(np.bincount(test.label) / len(test), (len(test), 1))
    assert found < log_loss(test.label, start) - 0.4
    if learner is TREE:
        alone = PlainClassifier(n_estimators=8, learning_rate=0.5)
        block = thirds.read_block(0)
        assert found < log_loss(test.label, alone.fit(block.X, block.y).predict_proba(X)) - 0.01
    width = settings.get("shardsPerMember", 2)
    turns = [m["shards"][0] for m in model.summary["members"]]
    expected = [sorted((t * width + j) % 3 for j in range(width)) for t in range(8)]
    assert turns == [shard for stage in expected for shard in stage]


def test_the_model_is_the_sum_that_it_was_fitted_as(thirds):
    """Stages by hand: gradients of rows of the stage's shards, a step from those of the next."""
    model = GradientBoostingClassifier(
        estimator=Ridge(), numMembers=3, learningRate=0.5, shardsPerMember=1, lineSearch="stage"
    ).fit(thirds)
    blocks = [thirds.read_block(s) for s in range(3)]
    loss = model._scorer().loss
    F = [np.tile(model.content["initial"], (len(b), 1)) for b in blocks]
    for stage, stored in enumerate(model.content["stages"]):
        own, following = blocks[stage], blocks[(stage + 1) % 3]
        gradient = loss.slope(own.y, F[stage], np.ones(len(own))).gradient
        learners = [Ridge().fit(own.X, gradient[:, k]) for k in range(3)]
        along = [np.stack([r.predict(b.X) for r in learners], axis=1) for b in blocks]
        after = (stage + 1) % 3
        sums = loss.search(following.y, F[after], along[after], np.ones(len(following)), 1.0)
        step = np.array(sums[0]) / np.array(sums[1])
        assert np.allclose(stored["steps"], step, rtol=1e-4)
        F = [f + 0.5 * step * a for f, a in zip(F, along, strict=True)]
    assert np.allclose(scores(model, blocks[0].X), loss.link(F[0]), atol=1e-5)


def test_weights_are_repetitions(spark, home):
    frame = three_classes(400)
    weight = np.random.default_rng(3).integers(1, 4, len(frame))
    weighted = partition(
        spark.createDataFrame(frame.assign(w=weight.astype(float))),
        home / "weighted",
        label="label",
        weight="w",
        shards=1,
    )
    repeated = frame.loc[frame.index.repeat(weight)]
    plain = partition(spark.createDataFrame(repeated), home / "repeated", label="label", shards=1)
    X = frame.drop(columns="label").to_numpy()
    for learner in (TREE, Ridge()):
        boosting = GradientBoostingClassifier(estimator=learner, numMembers=6)
        found, expected = (scores(boosting.fit(data), X) for data in (weighted, plain))
        assert np.allclose(found, expected, atol=1e-4)
    # A learner that takes no weights gets rows by their weight.
    model = GradientBoostingClassifier(estimator=KNeighborsRegressor(20), numMembers=2)
    assert np.isfinite(scores(model.fit(weighted), X)).all()


@pytest.mark.parametrize("shards_per_stage", cases([1, 2], [2]))
def test_early_stopping(spark, home, shards_per_stage):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(900, 3)), columns=list("abc"))
    frame["label"] = (frame.a + 2 * rng.normal(size=900) > 0).astype(int)
    folder = home / f"noise-{shards_per_stage}"
    data = partition(spark.createDataFrame(frame), folder, label="label", shards=3)
    model = GradientBoostingClassifier(
        estimator=TREE,
        numMembers=60,
        learningRate=0.5,
        shardsPerMember=shards_per_stage,
        stopMetric="log_loss",
        patience=4,
        validationFraction=0.2,
        seed=5,
    ).fit(data)
    curve = model.summary["curve"]
    assert model.numMembers == curve["best"] == int(np.argmin(curve["scores"])) + 1
    assert len(curve["scores"]) == curve["best"] + 4 < 60
    kept = Validation(0.2, 5)
    blocks = [data.read_block(s) for s in range(3)]
    masks = [kept.mask(b.key) for b in blocks]
    X = np.concatenate([b.X[m] for b, m in zip(blocks, masks, strict=True)])
    y = np.concatenate([b.y[m] for b, m in zip(blocks, masks, strict=True)])
    by_stage = [log_loss(y, shown) for shown in model._scorer().load_staged()(X)]
    assert curve["rows"] == len(y)
    assert np.allclose(by_stage, curve["scores"][: curve["best"]], atol=1e-6)
    for member in model.summary["members"]:
        shard = member["shards"][0]
        assert member["bag_rows"] == member["rows"] - masks[shard].sum()


@pytest.mark.parametrize(
    ("learner", "settings"),
    [
        (HISTOGRAM, {"shardsPerMember": 2, "lineSearch": "stage"}),
        pytest.param(
            Ridge(), {"shardsPerMember": 1, "lineSearch": "stage"}, marks=pytest.mark.long
        ),
        (TREE, {}),
    ],
    ids=["histograms-2", "ridge-1", "trees"],
)
def test_a_fit_that_broke_off_ends_with_the_same_model(
    thirds, tmp_path, monkeypatch, learner, settings
):
    settings = {"estimator": learner, "numMembers": 4, "maxSamples": 0.8, "seed": 2} | settings
    whole = GradientBoostingClassifier(**settings, modelDir=str(tmp_path / "a")).fit(thirds)
    settings["modelDir"] = str(tmp_path / "b")
    settle = GradientRun._settle

    def die(run, searches):
        settle(run, searches)
        if len(run.records) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(GradientRun, "_settle", die)
        with pytest.raises(KeyboardInterrupt):
            GradientBoostingClassifier(**settings).fit(thirds)
    broken = tmp_path / "b"
    assert list(broken.glob("state/*/*.npy"))
    again = GradientBoostingClassifier(**settings, resume=True).fit(thirds)
    assert again.content == whole.content
    assert not (broken / "state").exists()
    # And once more, with the last stages gone, and with them all the state.
    width = len(whole.content["members"]) // 4
    for member in range(2 * width, 4 * width):
        (broken / "members" / f"member-{member:05d}.json").unlink()
    third = GradientBoostingClassifier(**settings, resume=True).fit(thirds)
    assert third.summary["fitted_now"] == 2 * width
    assert third.content == whole.content


def test_another_plan_is_not_resumed(thirds, tmp_path):
    settings = {"estimator": TREE, "numMembers": 1, "modelDir": str(tmp_path / "m")}
    GradientBoostingClassifier(**settings).fit(thirds)
    with pytest.raises(ConfigurationError, match=r"learningRate: 0\.1 before, 0\.3 now"):
        GradientBoostingClassifier(**settings, learningRate=0.3, resume=True).fit(thirds)


@pytest.mark.long
@pytest.mark.modes
def test_saved_and_loaded_in_every_mode(spark, tmp_path):
    frame = three_classes(600)
    frame["label"] = np.array(["low", "mid", "high"])[frame.label]
    df = spark.createDataFrame(frame)
    boosting = GradientBoostingClassifier(
        estimator=TREE, numMembers=4, learningRate=0.5, numShards=2, shardsPerMember=2
    )
    model = boosting.fit(df)
    assert isinstance(model, GradientBoostingClassificationModel)
    model.save(str(tmp_path / "m"))
    again = load_model(str(tmp_path / "m"))
    rows = again.transform(df).select("label", "predictedLabel", "probability", "rawPrediction")
    shown = rows.toPandas()
    accuracy = np.mean(shown.label == shown.predictedLabel)
    assert accuracy > 0.7
    probability = np.stack([v.toArray() for v in shown.probability])
    raw = np.exp(np.stack([v.toArray() for v in shown.rawPrediction]))
    assert np.allclose(raw / raw.sum(axis=1, keepdims=True), probability, atol=1e-5)
    staged = again.stagedAccuracy(df)
    assert len(staged) == again.numMembers == 4
    assert staged[-1] == pytest.approx(accuracy)
    assert staged[0] < staged[-1]


def test_raw_prediction_of_two_classes_is_log_odds(spark, two):
    model = GradientBoostingClassifier(estimator=TREE, numMembers=5).fit(two)
    block = two.read_block(0)
    frame = pd.DataFrame(block.X, columns=two.feature_names)
    shown = model.transform(spark.createDataFrame(frame)).select("rawPrediction").toPandas()
    raw = np.stack([v.toArray() for v in shown.rawPrediction])
    plain = PlainClassifier(n_estimators=5).fit(block.X, block.y)
    assert np.allclose(raw[:, 1], plain.decision_function(block.X), atol=1e-5)
    assert np.array_equal(raw[:, 0], -raw[:, 1])


def test_a_shard_without_a_class(spark, home):
    frame = three_classes(600)
    rare = frame[frame.label == 2].index
    frame = frame.drop(index=rare[2:])
    data = partition(spark.createDataFrame(frame), home / "rare", label="label", shards=4)
    seen = [len(np.unique(data.read_block(s).y)) for s in range(4)]
    assert min(seen) == 2
    assert len(data.classes) == 3
    model = GradientBoostingClassifier(estimator=TREE, numMembers=6, learningRate=0.3).fit(data)
    found = scores(model, frame.drop(columns="label").to_numpy())
    assert found.shape == (len(frame), 3)
    assert np.allclose(found.sum(axis=1), 1)
    assert np.mean(found.argmax(axis=1) == frame.label) > 0.8


@pytest.mark.long
def test_sparse_rows_give_what_dense_rows_give(spark, home):
    from pyspark.ml.linalg import Vectors

    frame = three_classes(300)
    X, y = frame.drop(columns="label").to_numpy() * (frame[list("abcd")] > 0), frame.label
    rows = [
        (int(label), Vectors.sparse(4, [(j, float(v)) for j, v in enumerate(row) if v]))
        for row, label in zip(X.to_numpy(), y, strict=True)
    ]
    sparse = partition(
        spark.createDataFrame(rows, ["label", "features"]), home / "sparse", label="label", shards=1
    )
    assert sparse.layout == "sparse"
    dense = partition(
        spark.createDataFrame(X.assign(label=y)), home / "dense", label="label", shards=1
    )
    for learner in (TREE, Ridge(), HISTOGRAM):
        boosting = GradientBoostingClassifier(estimator=learner, numMembers=3)
        found, expected = (scores(boosting.fit(d), X.to_numpy()) for d in (sparse, dense))
        assert np.allclose(found, expected, atol=1e-4)


def test_missing_values_where_the_learner_takes_them(spark, home):
    frame = three_classes(300)
    frame.loc[::7, "a"] = np.nan
    data = partition(spark.createDataFrame(frame), home / "missing", label="label", shards=1)
    with pytest.raises(DataError, match="Ridge does not accept missing values.*: a"):
        GradientBoostingClassifier(estimator=Ridge()).fit(data)
    for learner in (HISTOGRAM, make_pipeline(SimpleImputer(), Ridge())):
        model = GradientBoostingClassifier(estimator=learner, numMembers=3).fit(data)
        assert np.isfinite(scores(model, frame.drop(columns="label").to_numpy())).all()


@pytest.mark.parametrize(
    ("settings", "code", "match"),
    [
        ({"estimator": DecisionTreeClassifier()}, "not_a_regressor", "must be a regressor"),
        ({"loss": "squared_error"}, "invalid_param", "must be one of log_loss"),
        ({"lineSearch": "newton"}, "invalid_param", "leaf, row, stage, none"),
        ({"estimator": Ridge(), "lineSearch": "leaf"}, "invalid_param", "single trees"),
        (
            {"estimator": KNeighborsRegressor(), "lineSearch": "row"},
            "invalid_param",
            "support for sample weights",
        ),
        ({"numMembers": 0}, "invalid_param", "numMembers must be >= 1. Got 0."),
        ({"learningRate": 0.0}, "invalid_param", "must be > 0"),
        ({"maxSamples": 1.5}, "invalid_param", "maxSamples"),
        ({"shardsPerMember": 4}, "invalid_param", "has 3 shards"),
        ({"stopMetric": "rmse"}, "invalid_param", "stopMetric"),
        ({"stopMetric": "auc", "validationFraction": 0.0}, "invalid_param", "between 0 and 1"),
        ({"estimator": Ridge(alpha=-1)}, "invalid_estimator_parameter", "alpha"),
    ],
)
def test_bad_settings(thirds, settings, code, match):
    with pytest.raises(ConfigurationError, match=match) as error:
        GradientBoostingClassifier(**({"estimator": TREE} | settings)).fit(thirds)
    assert error.value.code == code


def test_scores_that_diverge_and_learners_that_fail_are_reported(thirds, diabetes):
    with pytest.raises(TrainingError, match="no longer finite") as error:
        GradientBoostingRegressor(estimator=Ridge(), numMembers=3, learningRate=1e308).fit(diabetes)
    assert error.value.code == "diverged"
    learner = KNeighborsRegressor(n_neighbors=10_000)
    boosting = GradientBoostingClassifier(estimator=learner, numMembers=3, shardsPerMember=3)
    with pytest.raises(TrainingError, match=r"shard 0, in stage 1: .*n_neighbors"):
        boosting.fit(thirds)


def test_the_estimator_is_saved_and_loaded(tmp_path):
    boosting = GradientBoostingRegressor(
        estimator=DecisionTreeRegressor(max_depth=2), loss="huber", alpha=0.8, numMembers=7
    )
    boosting.save(str(tmp_path / "e"))
    again = GradientBoostingRegressor.load(str(tmp_path / "e"))
    assert again.getEstimator().max_depth == 2
    assert (again.getLoss(), again.getAlpha(), again.getNumMembers()) == ("huber", 0.8, 7)
