"""Waves, out-of-bag scores, balanced bags, categories and regressors."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_digits
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import balanced_accuracy_score
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from sparkml_dist import BaggingClassifier, BaggingRegressor, VotingRegressor, partition
from sparkml_dist.dataset.subsets import Fold, Validation
from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.learners.fitting import committed_members
from sparkml_dist.members import engine
from sparkml_dist.members.bag import Draw
from sparkml_dist.members.sampling import Sampling, member_seed

TREE = DecisionTreeClassifier(max_depth=8)


@pytest.fixture(scope="module")
def digits(spark):
    frame = load_digits(as_frame=True).frame.rename(columns={"target": "label"})
    return spark.createDataFrame(frame)


@pytest.fixture(scope="module")
def shards(digits, tmp_path_factory):
    return partition(digits, tmp_path_factory.mktemp("a") / "d", label="label", shards=3)


@pytest.fixture(scope="module")
def diabetes(spark, tmp_path_factory):
    frame = load_diabetes(as_frame=True).frame.rename(columns={"target": "label"})
    df = spark.createDataFrame(frame)
    path = tmp_path_factory.mktemp("b") / "d"
    return frame, df, partition(df, path, label="label", shards=2, task="regression")


def test_out_of_bag_scores_are_those_of_the_bags(shards, spark):
    model = BaggingClassifier(estimator=TREE, numMembers=6, oob=True, seed=3).fit(shards)
    rows = {r["key"]: r for r in model.oobPredictions.collect()}
    bank = model._bank().load()
    right = total = 0
    for s in range(3):
        block = shards.read_block(s)
        votes, judges = np.zeros((len(block), 10)), np.zeros(len(block))
        for m, proba in enumerate(bank.outputs(block.X, "predict_proba")):
            outside = np.ones(len(block), bool)
            if m % 3 == s:
                sampling = Sampling.of("pasting") if m < 3 else Sampling.of("bagging")
                counts = Draw(m, 3, sampling).counts(block)
                outside = np.zeros(len(block), bool) if counts is None else counts == 0
            votes[outside] += proba[outside]
            judges += outside
        for i in np.flatnonzero(judges):
            row = rows.pop(int(block.key[i]))
            assert row["members"] == judges[i]
            assert row["label"] == block.y[i]
            assert np.allclose(row["probability"], votes[i] / judges[i])
            right += row["prediction"] == row["label"]
            total += 1
    assert not rows
    assert model.summary["oob"]["rows"] == total
    assert model.oobScore["accuracy"] == pytest.approx(right / total)


def test_no_row_out_of_bag_is_an_error(digits, tmp_path):
    one = partition(digits, tmp_path / "one", label="label", shards=1)
    with pytest.raises(DataError, match="no row is out of bag") as error:
        BaggingClassifier(estimator=TREE, numMembers=1, oob=True).fit(one)
    assert error.value.code == "no_oob_rows"


def test_waves_stop_when_members_no_longer_help(shards):
    settings = {"estimator": TREE, "numMembers": 60, "stopMetric": "accuracy", "seed": 1}
    model = BaggingClassifier(**settings, waveSize=6, tol=0.02, patience=1).fit(shards)
    curve = model.summary["curve"]
    assert 12 <= model.numMembers < 60
    assert curve["stopped"]
    assert len(curve["scores"]) == model.numMembers
    # The last score by hand, on the rows that no member saw.
    kept = Validation(0.1, 1)
    predict = model._scorer().load()
    right = []
    for s in curve["shards"]:
        block = shards.read_block(s)
        mask = kept.mask(block.key)
        right.append(predict(block.X[mask]).argmax(axis=1) == block.y[mask])
    assert np.mean(np.concatenate(right)) == pytest.approx(curve["scores"][-1])
    assert sum(map(len, right)) == curve["rows"]


def test_a_resumed_fit_in_waves_is_the_same_model(shards, tmp_path, monkeypatch):
    looks = []
    monkeypatch.setattr(
        engine, "committed_members", lambda f: looks.append(f) or committed_members(f)
    )
    settings = {"estimator": TREE, "numMembers": 8, "stopMetric": "log_loss", "waveSize": 4}
    settings |= {"seed": 1, "patience": 9, "modelDir": str(tmp_path / "m")}
    first = BaggingClassifier(**settings).fit(shards)
    members = tmp_path / "m" / "members"
    for stem in ("member-00002", "member-00006"):
        (members / f"{stem}.json").unlink()
    again = BaggingClassifier(**settings, resume=True).fit(shards)
    assert len(looks) == 2  # records are read once for each fit, and not for each wave
    assert again.summary["fitted_now"] == 2
    assert again.summary["curve"] == first.summary["curve"]
    assert again.content == first.content


def test_balanced_bags_find_the_rare_class(spark, tmp_path):
    rng = np.random.default_rng(0)
    n, rare = 15_000, 200
    X = rng.normal(size=(n, 4)).astype(np.float32)
    y = np.zeros(n, int)
    y[:rare] = 1
    X[:rare] += 1.3
    frame = pd.DataFrame(X, columns=list("abcd")).assign(label=y)
    data = partition(spark.createDataFrame(frame), tmp_path / "d", label="label", shards=2)
    scores = {}
    for method in ("bagging", "balanced"):
        model = BaggingClassifier(estimator=TREE, numMembers=6, method=method).fit(data)
        predicted = model._scorer().load()(X).argmax(axis=1)
        scores[method] = balanced_accuracy_score(y, predicted)
    assert scores["balanced"] > 0.85
    assert scores["balanced"] > scores["bagging"] + 0.1
    bag = model.summary["members"][0]
    assert bag["bag_rows"] == pytest.approx(2 * 128, rel=0.25)


def test_histogram_boosting_knows_the_categories(spark, tmp_path):
    rng = np.random.default_rng(0)
    words = np.array([f"w{i}" for i in range(40)])
    code = rng.integers(0, 40, 3000)
    frame = pd.DataFrame({"word": words[code], "x": rng.normal(size=3000), "label": code % 2})
    df = spark.createDataFrame(frame)
    learner = HistGradientBoostingClassifier(max_iter=2, max_leaf_nodes=3)
    bagging = BaggingClassifier(
        estimator=learner, numMembers=1, categoricalCols=["word"], numShards=1
    )
    model = bagging.fit(df)
    fitted = model._bank().load().learners[0]
    assert fitted.is_categorical_.tolist() == [True, False]
    right = model.transform(df).where("prediction = label").count()
    assert right == 3000  # one split on a set of categories; of numbers it would take forty


def test_regressors_are_scikit_learns_on_one_shard(diabetes, tmp_path):
    frame, df, _ = diabetes
    one = partition(df, tmp_path / "one", label="label", shards=1, task="regression")
    model = BaggingRegressor(estimator=DecisionTreeRegressor(max_depth=4), numMembers=1).fit(one)
    block = one.read_block(0)
    plain = DecisionTreeRegressor(max_depth=4, random_state=member_seed(0, 0))
    plain.fit(block.X, block.y)
    shown = model.transform(df).select("prediction").toPandas().prediction
    X = frame.drop(columns="label").to_numpy(np.float32)
    assert np.array_equal(shown.to_numpy(), plain.predict(X))


def test_regressors_out_of_bag_and_in_waves(diabetes):
    *_, data = diabetes
    model = BaggingRegressor(
        estimator=DecisionTreeRegressor(max_depth=4), numMembers=40, stopMetric="rmse", oob=True
    ).fit(data)
    assert model.oobScore["r2"] > 0.3
    assert set(model.oobScore) == {"rmse", "mae", "r2"}
    voting = VotingRegressor(
        estimators=[("a", DecisionTreeRegressor(max_depth=2)), ("b", DecisionTreeRegressor())],
        weights=[3.0, 1.0],
    ).fit(data)
    X = data.read_block(0).X
    parts = list(voting._bank().load().outputs(X, "predict"))
    expected = (3 * (parts[0] + parts[1]) + parts[2] + parts[3]) / 8
    assert np.allclose(voting._scorer().load()(X), expected)


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"method": "balanced"}, "invalid_param"),
        ({"stopMetric": "auc"}, "invalid_param"),
        ({"stopMetric": "rmse", "validationFraction": 1.0}, "invalid_param"),
        ({"estimator": TREE}, "not_a_regressor"),
    ],
)
def test_bad_settings_of_a_regression(diabetes, settings, code):
    settings = {"estimator": DecisionTreeRegressor()} | settings
    with pytest.raises(ConfigurationError) as error:
        BaggingRegressor(**settings).fit(diabetes[2])
    assert error.value.code == code


def test_data_cut_for_the_other_task_is_refused(diabetes, shards):
    with pytest.raises(ConfigurationError, match="task='regression'"):
        BaggingClassifier(estimator=TREE).fit(diabetes[2])
    with pytest.raises(ConfigurationError, match="task='classification'"):
        BaggingRegressor(estimator=DecisionTreeRegressor()).fit(shards)


def test_folds_are_disjoint_and_whole():
    key = np.arange(1000)
    masks = [Fold(4, i, 7).mask(key) for i in range(4)]
    assert np.sum(masks, axis=0).tolist() == [1] * 1000
    assert all(150 < m.sum() < 350 for m in masks)


def test_held_out_rows_are_never_learnt_from(shards):
    from sparkml_dist.learners.learner import Traits
    from sparkml_dist.members.bag import Bag

    block = shards.read_block(0)
    kept = Validation(0.4, 3)
    traits = Traits.of(TREE)
    for method in ("bagging", "pasting", "patches", "balanced"):
        bag = Bag.of(block, Draw(5, 3, Sampling.of(method), kept), traits)
        counts = bag.draw.counts(block)
        assert counts[kept.mask(block.key)].sum() == 0
        assert counts.sum() == bag.rows > 0
    with pytest.raises(DataError, match="are held out") as error:
        Bag.of(block, Draw(5, 3, Sampling.of("pasting"), Validation(1.0, 3)), traits)
    assert error.value.code == "no_training_rows"


def test_a_saved_estimator_keeps_the_order_of_many_learners(spark, tmp_path):
    from sparkml_dist import VotingClassifier

    named = [(f"depth {d}", DecisionTreeClassifier(max_depth=d)) for d in range(1, 13)]
    VotingClassifier(estimators=named).write().save(str(tmp_path / "e"))
    loaded = VotingClassifier.load(str(tmp_path / "e")).getEstimators()
    assert [(n, x.max_depth) for n, x in loaded] == [(n, x.max_depth) for n, x in named]
