"""The estimators against XGBoost itself on the same rows, and against themselves otherwise cut."""

from __future__ import annotations

import numpy as np
import pytest

from sparkml_dist import (
    XGBoostClassifier,
    XGBoostRegressor,
    load_model,
    open_partitioned,
    partition,
)
from sparkml_dist.dataset.subsets import Validation
from sparkml_dist.errors import ConfigurationError, DataError, ResourceError, StorageError
from tests.boosting.rows import FEATURES, NUMERIC, Logistic, table

TYPES = ["q", "q", "q", "c"]
PARAMS = {"max_depth": 4, "learning_rate": 0.3, "tree_method": "hist", "nthread": 1}


def cut(spark, folder, label="label", shards=3, rows=None, **more):
    frame = table() if rows is None else rows
    return partition(
        spark.createDataFrame(frame[[*FEATURES, label, *more.get("weight", "").split(), "id"]]),
        str(folder),
        label=label,
        key="id",
        features=FEATURES,
        categorical=["kind"],
        shards=shards,
        **more,
    )


def boosting(**given):
    return XGBoostClassifier(**{"numMembers": 6, "maxDepth": 4, "numRanks": 1, **given})


def sha256(model):
    return model.files[0].sha256


def plain(data, objective="binary:logistic", rounds=6, **params):
    """XGBoost on the same rows in memory; returns the booster and the rows."""
    import xgboost

    block = data.read_block(range(len(data.shards)))
    matrix = xgboost.QuantileDMatrix(
        block.X, block.y, weight=block.weight, feature_types=TYPES, enable_categorical=True
    )
    return xgboost.train({**PARAMS, "objective": objective, **params}, matrix, rounds), block


@pytest.fixture(scope="module")
def data(spark, tmp_path_factory):
    return cut(spark, tmp_path_factory.mktemp("shards") / "s")


@pytest.fixture(scope="module")
def single(data):
    return boosting().fit(data)


@pytest.fixture(scope="module")
def double(data):
    return boosting(numRanks=2).fit(data)


def test_one_rank_is_xgboost_on_all_rows(data, single):
    booster, block = plain(data)
    assert single.booster.get_dump() == [
        tree.replace("f0<", "a<").replace("f1<", "b<").replace("f2<", "c<").replace("f3:", "kind:")
        for tree in booster.get_dump()
    ]
    wanted = booster.inplace_predict(block.X)
    assert np.array_equal(single.to_sklearn()._predict(block.X)[:, 1], wanted)


@pytest.mark.modes("connect")
def test_two_ranks_grow_the_trees_of_one(spark, data, single, double):
    block = data.read_block(range(len(data.shards)))
    one, two = (m.to_sklearn()._predict(block.X)[:, 1] for m in (single, double))
    np.testing.assert_allclose(two, one, atol=1e-5)  # sums of float32 gradients in another order
    np.testing.assert_allclose(double.history["logloss"], single.history["logloss"], atol=1e-5)
    assert sorted(r["rows"] for r in double.summary["ranks"]) == [300, 300]
    rows = spark.createDataFrame(table()[[*FEATURES, "id"]].head(20))
    found = double.transform(rows).orderBy("id").toPandas()
    again = double.to_sklearn().predict_proba(table()[FEATURES].head(20))
    np.testing.assert_allclose([p[1] for p in found.probability], again[:, 1], atol=1e-6)


def test_bins_on_disk_change_nothing(data, single, double):
    assert sha256(boosting(externalMemory=True).fit(data)) == sha256(single)
    model = boosting(numRanks=2, externalMemory=True).fit(data)
    assert sha256(model) == sha256(double)
    assert model.summary["external"] and not double.summary["external"]


def test_more_ranks_than_shards_and_rows_of_one_shard(spark, data, double, tmp_path):
    one = cut(spark, tmp_path / "one", shards=1)
    model = boosting(numRanks=2).fit(one)
    block = data.read_block(range(len(data.shards)))
    found, wanted = (m.to_sklearn()._predict(block.X) for m in (model, double))
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_a_weight_counts_as_repetition(spark, tmp_path):
    rows = table(200)
    weighted = cut(spark, tmp_path / "w", rows=rows, weight="w", shards=1)
    repeated = cut(
        spark, tmp_path / "r", rows=rows.loc[rows.index.repeat(rows.w.astype(int))], shards=1
    )
    X = weighted.read_block(0).X
    found, wanted = (boosting().fit(d).to_sklearn()._predict(X) for d in (weighted, repeated))
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_early_stopping_keeps_the_best_round(data):
    model = boosting(
        numRanks=2,
        numMembers=200,
        validationFraction=0.3,
        patience=3,
        evalMetric=["auc", "logloss"],
    ).fit(data)
    values = model.history["val_logloss"]
    best = model.summary["best_round"]
    assert best == int(np.argmin(values))
    assert len(values) == best + 4 < 200
    assert model.booster.num_boosted_rounds() == model.summary["rounds"] == best + 1
    block = data.read_block(range(len(data.shards)))
    held = Validation(0.3, 0).mask(block.key)
    p = model.to_sklearn()._predict(block.X[held])
    loss = -np.log(p[np.arange(len(p)), block.y[held]]).mean()
    assert loss == pytest.approx(values[best], abs=1e-5)
    assert sum(r["rows"] for r in model.summary["ranks"]) == (~held).sum()


def test_constraints_hold(data):
    model = boosting(
        numMembers=20,
        monotoneConstraints={"a": 1, "b": -1},
        interactionConstraints=[["a", "b"], ["c", "kind"]],
    ).fit(data)
    grid = np.linspace(-4, 4, 50, dtype=np.float32)
    for column, sign in ((0, 1), (1, -1)):
        for other in (-3.0, 0.0, 3.0):
            X = np.full((50, 4), other, np.float32)
            X[:, 3] = 1
            X[:, column] = grid
            assert (sign * np.diff(model.to_sklearn()._predict(X)[:, 1]) >= 0).all()
    for tree in model.booster.trees_to_dataframe().groupby("Tree"):
        used = set(tree[1].Feature) - {"Leaf"}
        assert used <= {"a", "b"} or used <= {"c", "kind"}


def test_a_function_as_objective(data, single):
    model = boosting(objective=Logistic()).fit(data)
    X = data.read_block(0).X
    found, wanted = (m.to_sklearn()._predict(X) for m in (model, single))
    # XGBoost estimates where to begin for its own objectives only.
    assert np.corrcoef(found[:, 1], wanted[:, 1])[0, 1] > 0.98


@pytest.mark.long
def test_several_classes_and_counts(spark, tmp_path):
    grades = cut(spark, tmp_path / "g", label="grade")
    model = boosting(numRanks=2).fit(grades)
    booster, block = plain(grades, "multi:softprob", num_class=3)
    found = model.to_sklearn()._predict(block.X)
    np.testing.assert_allclose(found, booster.inplace_predict(block.X), atol=1e-5)
    assert list(model.history) == ["mlogloss"]

    counts = cut(spark, tmp_path / "c", label="count", task="regression")
    regressor = XGBoostRegressor(
        numMembers=6, maxDepth=4, numRanks=2, objective="count:poisson", evalMetric=["rmse"]
    ).fit(counts)
    booster, block = plain(counts, "count:poisson", max_delta_step=0.7)
    found = regressor.to_sklearn()._predict(block.X)
    np.testing.assert_allclose(found, booster.inplace_predict(block.X), rtol=1e-4)


def test_sparse_rows(spark, tmp_path):
    from pyspark.ml.linalg import Vectors

    rng = np.random.default_rng(3)
    X = rng.integers(0, 3, (300, 6)) * (rng.random((300, 6)) < 0.4)
    rows = [
        (Vectors.sparse(6, {int(j): float(x[j]) for j in np.flatnonzero(x)}), int(x[0] > x[1]))
        for x in X
    ]
    frame = spark.createDataFrame(rows, ["features", "label"])
    model = XGBoostClassifier(numMembers=10, numShards=2).fit(frame)
    assert model.schema.layout == "sparse"
    right = model.transform(frame).where("prediction = label").count()
    assert right >= 290  # the label is a function of two features


def test_saved_loaded_and_altered(spark, data, single, tmp_path):
    single.save(str(tmp_path / "m"))
    again = load_model(str(tmp_path / "m"))
    X = data.read_block(0).X
    X[:5, 3] = np.nan  # as a category that was not seen
    predicted = again.to_sklearn()._predict(X)
    assert np.array_equal(predicted, single.to_sklearn()._predict(X))
    assert sum(single.featureImportances.values()) == pytest.approx(1)
    assert "XGBoostClassificationModel" in single._repr_html_()
    file = next((tmp_path / "m").rglob("model.ubj"))
    content = file.read_bytes()
    for wrong in (content[:-40], content.replace(b"binary:logistic", b"binary:logistik")):
        file.write_bytes(wrong)
        with pytest.raises(StorageError):
            load_model(str(tmp_path / "m")).to_sklearn()


def test_onnx(spark, data, tmp_path):
    numbers = spark.createDataFrame(table()[[*NUMERIC, "grade"]])
    model = XGBoostClassifier(numMembers=4, numRanks=1, labelCol="grade", numShards=1).fit(numbers)
    model.export_onnx(str(tmp_path / "m.onnx"))
    import onnxruntime

    X = data.read_block(0).X[:, :3]
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"))
    found = session.run(["probability"], {"features": X})[0]
    np.testing.assert_allclose(found, model.to_sklearn()._predict(X), atol=1e-6)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"numRanks": 64}, "too_few_slots"),
        ({"objective": "binary:hinge"}, "unknown_objective"),
        ({"evalMetric": ["auk"]}, "unknown_metric"),
        ({"evalMetric": ["mlogloss"]}, "unknown_metric"),
        ({"patience": 2, "stopMetric": "val_auc"}, "no_validation"),
        ({"patience": 2, "stopMetric": "auc"}, "unknown_metric"),
        ({"tol": 0.1}, "patience_not_set"),
        ({"monotoneConstraints": {"aa": 1}}, "column_not_found"),
        ({"interactionConstraints": [["a", "bb"]]}, "column_not_found"),
        ({"extraParams": {"max_cat_to_onehott": 1}}, "invalid_param"),
        ({"maxDepth": 0}, "invalid_param"),
        ({"subsample": 0.0}, "invalid_param"),
        ({"memoryPerTask": "1k"}, "memory_too_small"),
    ],
)
def test_refusals_before_the_first_job(data, given, code):
    with pytest.raises((ConfigurationError, DataError, ResourceError)) as caught:
        boosting(**given).fit(data)
    assert caught.value.code == code


def test_a_single_class_and_no_row_left(spark, data, tmp_path):
    rows = table(40)
    rows["label"] = 1
    with pytest.raises(DataError) as caught:
        boosting().fit(cut(spark, tmp_path / "one", rows=rows, shards=1))
    assert caught.value.code == "one_class"
    with pytest.raises(DataError) as caught:
        boosting(numRanks=2, validationFraction=0.999999).fit(data)
    assert caught.value.code == "no_training_rows"
    with pytest.raises(DataError) as caught:
        boosting(validationFraction=1e-9).fit(open_partitioned(data.location))
    assert caught.value.code == "no_validation_rows"
