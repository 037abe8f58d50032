"""Labels that do not belong to the classes of a data set."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest
from sklearn.tree import DecisionTreeClassifier

from sparkml_dist.dataset.labels import Label
from sparkml_dist.ensemble import BaggingClassifier
from sparkml_dist.errors import DataError
from sparkml_dist.metrics.evaluation import evaluate_classification


def test_codes_are_places_among_the_classes():
    assert Label("state", "string", ("bad", "good")).encode(pa.array(["good", "bad"])).tolist() == [
        1,
        0,
    ]


@pytest.mark.parametrize(
    ("label", "values", "stranger"),
    [
        (Label("state", "string", ("bad", "good")), ["good", "fair", "odd"], "'fair'"),
        (Label("state", "integer", (0, 2)), [2, 1], "1"),
        (Label("state", "number", (0.5, 1.0)), [1.0, 0.25], "0.25"),
    ],
)
def test_a_label_that_is_no_class_is_named(label, values, stranger):
    with pytest.raises(DataError, match="rows_changed") as caught:
        label.encode(pa.array(values))
    assert f"'state' holds {stranger}, which is not one of the 2 classes" in caught.value.message
    with pytest.raises(DataError, match="label_null"):
        label.encode(pa.array([values[0], None]))


PAST = (2**53, 2**53 + 1)


def test_whole_numbers_past_the_doubles_are_predicted_by_position():
    label = Label("id", "integer", PAST)
    assert label.class_values().tolist() == [0.0, 1.0]
    assert label.predicted_type == "bigint"
    assert label.encode(pa.array(PAST[::-1])).tolist() == [1, 0]
    assert Label.from_dict(json.loads(json.dumps(label.to_dict()))) == label
    near = Label("id", "integer", (-(2**53), 2**53))
    assert near.class_values().tolist() == [-(2.0**53), 2.0**53]
    assert near.predicted_type is None


def test_negative_zero_is_zero():
    assert str(Label.sort_classes([1.0, -0.0])) == "(0.0, 1.0)"
    assert Label("flag", "number", (-1.0, 0.0)).encode(pa.array([-0.0, 0.0, -1.0])).tolist() == [
        1,
        1,
        0,
    ]
    boolean = Label("flag", "boolean", (False, True))
    assert boolean.class_values().tolist() == [0.0, 1.0]
    assert boolean.predicted_type is None


def fitted(df, **more):
    return BaggingClassifier(
        estimator=DecisionTreeClassifier(), featuresCols=["x"], numMembers=2, numShards=1, **more
    ).fit(df)


@pytest.mark.long
def test_a_model_of_64_bit_ids(spark):
    df = spark.range(90).selectExpr("double(id % 3) AS x", f"{PAST[0]} + id % 3 AS label")
    model = fitted(df, oob=True)
    assert model.classes == [2**53, 2**53 + 1, 2**53 + 2]
    scored = model.transform(df)
    assert dict(scored.dtypes)["predictedLabel"] == "bigint"
    assert scored.where("predictedLabel = label AND prediction = x").count() == 90
    found = evaluate_classification(scored, label_col="label", classes=model.classes)
    assert (found.accuracy, found.unknown_label_rows) == (1.0, 0)
    assert model.oobScore["accuracy"] == 1.0
    frame = df.toPandas()
    assert (model.to_sklearn().predict(frame) == frame.label).all()
    # As text, as decimals, and among strangers that a double would take for the classes.
    other = scored.selectExpr("string(label + 1) AS label", "prediction", "probability")
    found = evaluate_classification(other, label_col="label", classes=model.classes)
    assert found.unknown_label_rows == 30
    assert found.accuracy == 0.0


@pytest.mark.long
def test_labels_of_minus_one_times_a_flag(spark):
    df = spark.range(80).selectExpr("double(id % 2) AS x", "-1.0D * (id % 2) AS label")
    model = fitted(df)
    assert str(model.classes) == "[-1.0, 0.0]"
    scored = model.transform(df)
    assert scored.where("prediction = label").count() == 80
    assert evaluate_classification(scored, label_col="label", classes=model.classes).accuracy == 1.0


def test_decimal_labels(spark):
    rows = spark.range(60)
    ids = rows.selectExpr("double(id % 2) AS x", f"{PAST[0]} + id % 2 AS label")
    ids = ids.withColumn("label", ids.label.cast("decimal(18,0)"))
    assert fitted(ids).classes == list(PAST)
    with pytest.raises(DataError, match="label_rounded"):
        fitted(ids.withColumn("label", ids.label.cast("decimal(38,0)")))
    tenths = rows.selectExpr("double(id % 2) AS x", "cast((id % 2) / 10 AS decimal(3,1)) AS label")
    assert fitted(tenths).classes == [0.0, 0.1]


def test_labels_in_another_encoding(spark):
    df = spark.range(60).selectExpr(
        "double(id) AS x", "CAST(IF(id % 2 = 0, X'636166E9', X'636166E8') AS string) AS label"
    )
    with pytest.raises(DataError, match="not_utf8"):
        fitted(df)
