"""Learners that name classes, columns or categories learn what they would learn alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.ensemble import (
    BaggingClassifier as OwnBagging,
)
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.ensemble import (
    StackingClassifier as OwnStacking,
)
from sklearn.ensemble import (
    StackingRegressor as OwnStackingRegressor,
)
from sklearn.ensemble import (
    VotingClassifier as OwnVoting,
)
from sklearn.ensemble import (
    VotingRegressor as OwnVotingRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from sparkml_dist import (
    AdaBoostClassifier,
    AdaBoostPLClassifier,
    BaggingClassifier,
    BaggingRegressor,
    BlendingClassifier,
    EnsembleSelectionClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    IVotesClassifier,
    StackingClassifier,
    VotingClassifier,
    load_model,
)
from sparkml_dist.dataset import partition
from sparkml_dist.errors import ConfigurationError, DataError
from tests.long import cases

WEIGHTS = {"class_weight": {1: 10}}
SMALL = LogisticRegression(**WEIGHTS)
TREE = DecisionTreeClassifier(max_depth=3, random_state=0, **WEIGHTS)


def rows(classes=(1, 2)):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 2)).astype(np.float32)
    y = (X[:, 0] + rng.normal(size=600) > 1.2).astype(int)
    return pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "label": np.asarray(classes)[y]})


@pytest.fixture(scope="module")
def cut(spark, tmp_path_factory):
    """Cut a table into shards once for all tests that learn from it."""
    made = {}

    def of(name, table, label="label", **settings):
        if name not in made:
            df = spark.createDataFrame(table) if isinstance(table, pd.DataFrame) else table
            home = tmp_path_factory.mktemp("shards") / "d"
            made[name] = df, partition(df, home, label=label, **{"shards": 1, **settings})
        return made[name]

    return of


def predicted(model, df, column="prediction"):
    return model.transform(df).select(column).toPandas()[column].to_numpy()


def weighted(first):
    weight = {first: 10}
    tree = DecisionTreeClassifier(max_depth=3, random_state=0, class_weight=weight)
    return {
        "plain": LogisticRegression(class_weight=weight),
        "pipeline": make_pipeline(StandardScaler(), LogisticRegression(class_weight=weight)),
        "columns": make_pipeline(
            ColumnTransformer([("s", StandardScaler(), ["b"])], remainder="passthrough"),
            LogisticRegression(class_weight=weight),
        ),
        "bagging": OwnBagging(tree, 3, random_state=0),
        "voting": OwnVoting([("t", tree), ("n", GaussianNB())], voting="soft"),
        "stacking": OwnStacking([("t", tree)], cv=2),
        "search": GridSearchCV(
            LogisticRegression(), {"class_weight": [weight]}, cv=2, scoring="accuracy"
        ),
        "calibrated": CalibratedClassifierCV(tree, cv=2),
        "boosting": HistGradientBoostingClassifier(max_iter=5, class_weight=weight),
    }


CLASSES = {"int": (1, 2), "text": ("a", "b"), "float": (1.0, 2.0)}


@pytest.mark.parametrize("number", cases(CLASSES, ["text"]))
@pytest.mark.parametrize("name", list(weighted(1)))
def test_weights_of_classes_mean_the_classes(cut, name, number):
    classes = CLASSES[number]
    if classes != (1, 2) and name in ("bagging", "search", "stacking", "columns"):
        pytest.skip("seen with integers")
    frame = rows(classes)
    X, codes = frame[["a", "b"]].astype(np.float32), rows((0, 1)).label
    # scikit-learn's own learners of learners take the classes for codes, and so do some boostings.
    alone = np.asarray(classes)[weighted(0)[name].fit(X, codes).predict(X)]
    df, data = cut(number, frame)
    model = BaggingClassifier(estimator=weighted(classes[0])[name], numMembers=1).fit(data)
    got = predicted(model, df, "predictedLabel" if classes[0] == "a" else "prediction")
    # Rows lie in another order in the shard: folds and bags differ by a few rows.
    near = 0 if name in ("plain", "pipeline", "columns", "voting", "boosting") else 0.1
    assert np.mean(got != alone) <= max(near, 0.005)
    assert (got == classes[1]).sum() < (frame.label == classes[1]).sum()


METHODS = {
    "pasting": BaggingClassifier(estimator=TREE, method="pasting", maxSamples=0.8, numMembers=2),
    "subspaces": BaggingClassifier(estimator=TREE, method="subspaces", numMembers=2),
    "balanced": BaggingClassifier(estimator=TREE, method="balanced", numMembers=2),
    "ivotes": IVotesClassifier(estimator=TREE, numMembers=3, biteSize=200),
    "adaboost": AdaBoostClassifier(estimator=TREE, numMembers=2),
    "sampled adaboost": AdaBoostClassifier(estimator=TREE, numMembers=2, maxSamples=300),
    "adaboost-pl": AdaBoostPLClassifier(estimator=TREE, numMembers=2),
    "voting": VotingClassifier(estimators=[("t", TREE), ("l", SMALL)]),
    "stacking": StackingClassifier(estimators=[("t", TREE)], finalEstimator=SMALL, numFolds=2),
    "blending": BlendingClassifier(
        estimators=[("t", TREE)], finalEstimator=SMALL, passthrough=True
    ),
    "selection": EnsembleSelectionClassifier(estimators=[("t", TREE), ("l", SMALL)]),
}


@pytest.mark.parametrize("method", list(METHODS))
def test_every_method_names_the_classes_to_its_learners(cut, tmp_path, method):
    frame = rows()
    df, data = cut("two shards", frame, shards=2)
    model = METHODS[method].fit(data)
    model.write().overwrite().save(str(tmp_path / "m"))
    got = predicted(load_model(str(tmp_path / "m")), df)
    # Class 1 weighs ten times: nearly nothing is called class 2.
    assert set(np.unique(got)) <= {1.0, 2.0}
    if method not in ("adaboost", "sampled adaboost", "adaboost-pl", "balanced"):
        assert (got == 2).sum() < 0.5 * (frame.label == 2).sum()


def test_a_class_that_there_is_not_is_refused_before_the_fit(spark):
    df = spark.createDataFrame(rows(("no", "yes")))
    with pytest.raises(ConfigurationError, match="'ye'.*'yes'") as caught:
        BaggingClassifier(estimator=LogisticRegression(class_weight={"ye": 2}), numShards=1).fit(df)
    assert caught.value.code == "unknown_class"


NAMED = {
    "columns": make_pipeline(
        ColumnTransformer([("s", StandardScaler(), ["b"])], remainder="passthrough"),
        LogisticRegression(),
    ),
    "monotone": HistGradientBoostingClassifier(monotonic_cst={"a": 1}, max_iter=5),
    "categorical": HistGradientBoostingClassifier(categorical_features=["b"], max_iter=5),
    "nested": OwnVoting([("h", HistGradientBoostingClassifier(monotonic_cst={"a": 1}))]),
}


@pytest.mark.parametrize("name", ["columns", "monotone", "categorical", "nested"])
def test_learners_that_name_columns_get_frames(cut, tmp_path, name):
    frame = rows()
    frame["b"] = np.arange(600) % 7.0
    df, data = cut("sevenths", frame)
    X = frame[["a", "b"]].astype(np.float32)
    alone = NAMED[name].fit(X, frame.label).predict(X)
    bags = BaggingClassifier(estimator=NAMED[name], numMembers=1)
    model = bags.setVoting("hard" if name == "nested" else "soft").fit(data)
    assert np.mean(predicted(model, df) != alone) <= 0.005
    model.write().overwrite().save(str(tmp_path / "m"))
    local = load_model(str(tmp_path / "m")).to_sklearn()
    assert np.mean(local.predict(frame) != alone) <= 0.005


def test_columns_by_name_in_boosting_of_regressors(cut):
    df, data = cut("two shards", rows(), shards=2)
    monotone = HistGradientBoostingRegressor(monotonic_cst={"a": 1}, max_iter=3)
    boosting = GradientBoostingClassifier(estimator=monotone, numMembers=3)
    got = boosting.fit(data).transform(df.selectExpr("a", "0 AS b")).toPandas()
    up = np.stack(got.sort_values("a").probability.map(lambda v: v.toArray()))[:, 1]
    assert (np.diff(up) >= -1e-6).all()
    numbers = GradientBoostingRegressor(
        estimator=monotone, labelCol="b", featuresCols=["a"], numMembers=2, numShards=2
    )
    assert numbers.fit(df).transform(df).count() == 600


def test_a_column_that_there_is_not_is_refused_before_the_fit(spark):
    learner = HistGradientBoostingClassifier(monotonic_cst={"aa": 1})
    with pytest.raises(ConfigurationError, match="'aa'") as caught:
        BaggingClassifier(estimator=learner, numShards=1).fit(spark.createDataFrame(rows()))
    assert caught.value.code == "unknown_feature"


def shops(spark):
    return spark.range(300).selectExpr(
        "concat('shop', id % 5) AS shop",
        "double(id % 3) AS x",
        "IF(id % 5 > 2, 'yes', 'no') AS label",
    )


ENCODERS = {
    "by code": make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression()),
    "by name": make_pipeline(
        ColumnTransformer([("e", OneHotEncoder(handle_unknown="ignore"), ["shop"])]),
        LogisticRegression(),
    ),
    "by type": make_pipeline(
        ColumnTransformer(
            [
                (
                    "e",
                    OneHotEncoder(handle_unknown="ignore"),
                    make_column_selector(dtype_include=object),
                ),
                ("s", StandardScaler(), make_column_selector(dtype_include=np.number)),
            ]
        ),
        LogisticRegression(),
    ),
    "listed": make_pipeline(
        ColumnTransformer(
            [
                (
                    "e",
                    OrdinalEncoder(
                        categories=[[f"shop{i}" for i in range(5)]],
                        handle_unknown="use_encoded_value",
                        unknown_value=-1,
                    ),
                    ["shop"],
                )
            ]
        ),
        DecisionTreeClassifier(),
    ),
}


@pytest.mark.parametrize("name", list(ENCODERS))
def test_a_new_category_reaches_the_encoder_as_one(spark, cut, name):
    df, data = cut("shops", shops(spark), categorical=["shop"])
    model = BaggingClassifier(estimator=ENCODERS[name], numMembers=1).fit(data)
    assert model.transform(df).where("predictedLabel = label").count() == 300
    new = spark.sql("SELECT 'a new shop' AS shop, 1D AS x")
    assert model.transform(new).where("prediction IS NOT NULL").count() == 1


@pytest.mark.long
def test_what_a_new_category_is_to_others(spark, cut):
    _, data = cut("shops", shops(spark), categorical=["shop"])
    new = spark.sql("SELECT 'a new shop' AS shop, 1D AS x")
    missing = spark.sql("SELECT CAST(NULL AS STRING) AS shop, 1D AS x")

    tree, line, encoder = (
        BaggingClassifier(estimator=learner, numMembers=1).fit(data)
        for learner in (
            DecisionTreeClassifier(),
            LogisticRegression(),
            make_pipeline(OneHotEncoder(handle_unknown="error"), LogisticRegression()),
        )
    )
    # A missing value to those that take them, with the same probability.
    both = tree.transform(new.union(missing)).collect()
    assert both[0].probability == both[1].probability
    for model in (line, encoder):
        with pytest.raises(Exception, match="unseen_category"):
            model.transform(new).collect()
    with pytest.raises(Exception, match="missing_values"):
        line.transform(missing).collect()


def gaps(spark):
    return spark.range(300).selectExpr(
        "IF(id % 9 = 0, NULL, double(id)) AS age", "double(id) AS pay", "int(id >= 150) AS label"
    )


IMPUTING = {
    "columns": make_pipeline(
        ColumnTransformer([("fill", SimpleImputer(), [0, 1])]), LogisticRegression()
    ),
    "encoder": make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression()),
    "search": GridSearchCV(
        make_pipeline(SimpleImputer(), LogisticRegression()), {"logisticregression__C": [1.0]}, cv=2
    ),
    "voting": OwnVoting([("p", make_pipeline(SimpleImputer(), LogisticRegression()))]),
    "bagging": OwnBagging(make_pipeline(SimpleImputer(), LogisticRegression()), 2),
}


@pytest.mark.parametrize("name", list(IMPUTING))
def test_missing_values_that_something_inside_takes_care_of(spark, cut, name):
    df, data = cut("gaps", gaps(spark))
    voting = "hard" if name == "voting" else "soft"
    model = BaggingClassifier(estimator=IMPUTING[name], numMembers=1, voting=voting).fit(data)
    assert model.transform(df).where("prediction = label").count() > 240


def test_missing_values_where_nothing_fills_them_in(spark):
    df = gaps(spark)
    half = make_pipeline(
        ColumnTransformer([("fill", SimpleImputer(), ["pay"])], remainder="passthrough"),
        LogisticRegression(),
    )
    with pytest.raises(DataError, match="does not accept missing values.*: age") as caught:
        BaggingClassifier(estimator=half, numShards=1).fit(df)
    assert caught.value.code == "missing_values"
    whole = df.na.fill(0.0)
    model = BaggingClassifier(estimator=half, numMembers=1, numShards=1).fit(whole)
    one = spark.sql("SELECT 1D AS age, CAST(NULL AS DOUBLE) AS pay")
    assert model.transform(one).where("prediction IS NOT NULL").count() == 1
    with pytest.raises(Exception, match="missing values in age"):
        model.transform(df).collect()


@pytest.mark.parametrize("shards", cases([1, 4], [4]))
def test_a_feature_that_is_missing_throughout_a_shard(cut, shards):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=800), "rare": np.nan})
    frame.loc[[3, 700], "rare"] = 5.0
    frame["label"] = (frame.a > 0).astype(int)
    df, data = cut(f"rare in {shards}", frame, shards=shards)
    nested = make_pipeline(StandardScaler(), HistGradientBoostingClassifier(max_iter=5))
    for learner in (HistGradientBoostingClassifier(max_iter=5), nested):
        model = BaggingClassifier(estimator=learner, numMembers=shards).fit(data)
        assert model.transform(df).where("prediction = label").count() > 760
    numbers = BaggingRegressor(
        estimator=HistGradientBoostingRegressor(max_iter=5),
        labelCol="label",
        numMembers=shards,
        numShards=shards,
    )
    assert numbers.fit(df).transform(df).where("prediction IS NOT NULL").count() == 800


@pytest.mark.parametrize("learner", [SVC(probability=True), LogisticRegression(), TREE], ids=str)
def test_a_class_whose_rows_all_weigh_nothing(cut, learner):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=150), "label": np.arange(150) % 3 + 1})
    frame["a"] += 4.0 * frame.label
    frame["w"] = np.where(frame.label == 2, 0.0, 1.0)
    df, data = cut("weightless", frame, weight="w")
    model = BaggingClassifier(estimator=learner, numMembers=1).fit(data)
    got = model.transform(df.where("label <> 2")).collect()
    assert sum(row.prediction == row.label for row in got) >= 95
    assert got[0].probability[1] == 0.0


TWO = [("t", DecisionTreeClassifier(max_depth=3)), ("l", LogisticRegression())]
OWN = {
    "voting": OwnVoting(TWO, voting="soft"),
    "hard voting": OwnVoting(TWO),
    "stacking": OwnStacking(TWO, cv=2),
    "passing through": OwnStacking(TWO, LogisticRegression(), cv=2, passthrough=True),
    "of forests": OwnVoting([("f", RandomForestClassifier(5)), ("p", make_pipeline(GaussianNB()))]),
}


@pytest.mark.parametrize("name", cases(OWN, ["voting", "stacking"]))
def test_scikit_learns_own_ensembles_as_members(spark, cut, tmp_path, name):
    table = spark.range(400).selectExpr(
        "double(id) AS a",
        "double(id % 7) AS b",
        "IF(id % 3 = 0, 'hi', IF(id < 2, 'rare', 'lo')) AS label",
    )
    df, data = cut("hi, lo, rare", table, shards=4)
    voting = "soft" if hasattr(OWN[name], "predict_proba") else "hard"
    model = BaggingClassifier(estimator=OWN[name], numMembers=4, voting=voting).fit(data)
    model.write().overwrite().save(str(tmp_path / "m"))
    got = load_model(str(tmp_path / "m")).transform(df).collect()
    assert sum(row.predictedLabel == row.label for row in got) > 200
    assert len(got[0].probability) == 3


def test_scikit_learns_own_ensembles_of_regressors(spark, cut):
    table = spark.range(200).selectExpr(
        "double(id) AS a", "double(id % 7) AS b", "double(id) AS label"
    )
    df, data = cut("line", table, shards=2, task="regression")
    two = [("t", DecisionTreeRegressor()), ("l", LinearRegression())]
    for learner in (OwnVotingRegressor(two), OwnStackingRegressor(two, Ridge(), cv=2)):
        model = BaggingRegressor(estimator=learner, numMembers=2).fit(data)
        assert model.transform(df).where("abs(prediction - label) < 20").count() > 190
