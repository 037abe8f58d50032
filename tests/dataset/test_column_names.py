"""Names that Spark takes for one another, in tables that models score."""

from __future__ import annotations

import pytest
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

import sparkml_dist as sd
from sparkml_dist.errors import ConfigurationError, DataError


@pytest.fixture(scope="module")
def joined(spark):
    """A table as a join makes it: `id` twice, and columns that are called like outputs."""
    rows = spark.range(60).selectExpr("id", "double(id) AS x", "int(id % 2) AS label")
    others = spark.range(60).selectExpr(
        "id", "'old' AS Prediction", "'old' AS PROBABILITY", "'kept' AS note"
    )
    return rows.join(others, rows.id == others.id).persist()


def held(scored, *names):
    """Check that nothing of the table is lost but what is replaced, and return the outputs."""
    assert scored.columns[:5] == ["id", "x", "label", "id", "note"] or scored.columns[:4] == [
        *("id", "x", "label", "id")
    ]
    assert scored.count() == 60
    return [r[0] for r in scored.select(*names).distinct().collect()]


SETTINGS = {"featuresCols": ["x"], "numMembers": 1, "numShards": 1}


@pytest.fixture(scope="module")
def tree(joined):
    return sd.BaggingClassifier(estimator=DecisionTreeClassifier(), **SETTINGS).fit(joined)


@pytest.fixture(scope="module")
def centers(joined):
    return sd.KMeans(featuresCols=["x"], k=2, seed=1).fit(joined)


def test_classifiers(joined, tree):
    scored = tree.transform(joined)
    assert scored.columns == [
        *("id", "x", "label", "id", "note", "prediction", "probability", "rawPrediction")
    ]
    assert set(held(scored, "prediction")) == {0.0, 1.0}
    assert "old" not in str(scored.select("Probability").first())
    again = tree.transform(scored)  # what a model has scored, it can score again
    assert again.columns == scored.columns


@pytest.mark.long
def test_regressors(joined):
    model = sd.BaggingRegressor(estimator=DecisionTreeRegressor(), **SETTINGS).fit(joined)
    assert set(held(model.transform(joined), "prediction")) == {0.0, 1.0}


@pytest.mark.long
def test_stacks_with_bases_of_spark(joined):
    from pyspark.ml.classification import LogisticRegression

    model = sd.StackingClassifier(
        estimators=[("lr", LogisticRegression(maxIter=2)), ("tree", DecisionTreeClassifier())],
        featuresCols=["x"],
        numShards=2,
        numFolds=2,
    ).fit(joined)
    assert set(held(model.transform(joined), "prediction")) <= {0.0, 1.0}


@pytest.mark.long
def test_models_of_points(joined, centers):
    clusters = centers.transform(joined)
    assert set(held(clusters, "prediction")) == {0, 1}
    dense = sd.DBSCAN(featuresCols=["x"], eps=2.0, minPoints=2).fit(joined).transform(joined)
    assert held(dense, "prediction") == [0]
    strange = sd.RobustZScore(featuresCols=["x"], columnCol="NOTE").fit(joined).transform(joined)
    assert strange.columns == [
        *("id", "x", "label", "id", "PROBABILITY", "outlierScore", "prediction", "NOTE")
    ]
    assert held(strange, "NOTE") == ["x"]


def test_rules(joined):
    baskets = joined.selectExpr("*", "array('a', 'b') AS items")
    itemsets = sd.FrequentItemsets(minCount=2).fit(baskets).itemsets
    model = sd.AssociationRules(minConfidence=0.1).fit(itemsets)
    assert held(model.transform(baskets), "prediction") == [[]]


def test_columns_that_a_model_needs_must_be_distinct(joined, tree, centers):
    twice = joined.selectExpr("*", "x AS X")
    with pytest.raises(DataError, match="'x' and 'X'"):
        tree.transform(twice)
    with pytest.raises(DataError, match="duplicate_columns"):
        centers.transform(twice)
    with pytest.raises(DataError, match="duplicate_columns"):
        sd.BaggingClassifier(estimator=DecisionTreeClassifier(), **SETTINGS).fit(twice)


@pytest.mark.long
def test_outputs_whose_names_clash(joined):
    rows = joined.select("x", "label")
    one = sd.BaggingClassifier(
        estimator=DecisionTreeClassifier(), predictionCol="P", probabilityCol="p", **SETTINGS
    ).fit(rows)
    with pytest.raises(ConfigurationError, match="'P' and 'p'"):
        one.transform(rows)
    named = rows.withColumnRenamed("label", "Prediction")
    model = sd.BaggingClassifier(
        estimator=DecisionTreeClassifier(), labelCol="Prediction", **SETTINGS
    ).fit(named)
    with pytest.raises(ConfigurationError, match="would replace the label column 'Prediction'"):
        model.transform(named)
    assert "prediction" in model.transform(named.select("x")).columns
