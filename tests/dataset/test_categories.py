"""One spelling of a category, from whatever source it comes."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.tree import DecisionTreeClassifier

from sparkml_dist.dataset.adoption import adopt
from sparkml_dist.dataset.categories import (
    canonical,
    category_codes,
    category_column,
    category_list,
    category_texts,
)
from sparkml_dist.ensemble import BaggingClassifier
from sparkml_dist.errors import DataError
from sparkml_dist.tables.read import read_table
from tests.long import cases

SPELLINGS = {
    "1": ["1", "1.0", "1.00"],
    "0": ["0", "0.0", "-0.0", "0E-18"],
    "-7": ["-7", "-7.0"],
    "12345678": ["12345678", "12345678.0", "1.2345678E7"],
    "true": ["true", "True", "TRUE"],
    "false": ["false", "False", "FALSE"],
}
APART = ["01", "1.10", "1.1", " 1", "1 ", "1e5", "1E5", "t", "yes", "tRUE", "café", "cafe\u0301"]
APART += ["1.0.0", "1.", "", "x\0y", "NaN", "1.0\n"]


def test_spellings():
    for one, others in SPELLINGS.items():
        assert {canonical(other) for other in others} == {one}
    assert [canonical(text) for text in APART] == APART
    assert category_list(["2.0", "1", "2", "True"]) == ("1", "2", "true")


def test_python_values_of_all_kinds():
    ones = [1, 1.0, np.int8(1), np.int64(1), np.uint16(1), np.float32(1), Decimal("1.00"), "1"]
    codes = category_codes(category_texts(ones), ("1", "true"))
    assert codes.to_pylist() == [0] * len(ones)
    texts = category_texts([True, np.True_, "True", None, np.nan, np.float32("nan"), 1e16, 0.1])
    assert texts.to_pylist() == [
        *("True", "True", "True", None, None, None),
        *("10000000000000000", "0.1"),
    ]
    assert (
        category_codes(texts, ("1", "true")).to_pylist() == [1, 1, 1, None, None, None] + [None] * 2
    )


def test_bytes_that_are_no_text_are_no_category():
    texts = pa.array([b"caf\xe9", b"1.0"]).cast(pa.string(), safe=False)
    texts = pa.Array.from_buffers(pa.string(), 2, texts.buffers())
    assert category_codes(texts, ("1",)).to_pylist() == [None, 0]


def test_spark_spells_as_python_does(spark):
    texts = [text for texts in SPELLINGS.values() for text in texts] + APART
    df = spark.createDataFrame([(t,) for t in texts if "\n" not in t], "text string")
    found = df.select("text", category_column(df.text).alias("one")).collect()
    assert [(r.text, r.one) for r in found] == [(r.text, canonical(r.text)) for r in found]


def fitted(df, **more):
    return BaggingClassifier(
        estimator=DecisionTreeClassifier(),
        featuresCols=["c"],
        categoricalCols=["c"],
        numMembers=1,
        numShards=1,
        **more,
    ).fit(df)


def right(model, df):
    return model.transform(df).where("prediction = label").count()


KINDS = ["bigint", "tinyint", "double", "float", "decimal(12,2)", "string"]


@pytest.mark.long
@pytest.mark.parametrize("kind", cases(["double", "decimal(12,2)"], ["decimal(12,2)"]))
def test_trained_on_one_type_and_scored_on_others(spark, kind):
    rows = spark.range(60).selectExpr("cast(id % 6 AS int) AS c", "id % 2 AS label")
    model = fitted(rows.withColumn("c", rows.c.cast(kind)))
    assert model.schema.columns[0].categories == tuple("012345")
    for other in KINDS:
        assert right(model, rows.withColumn("c", rows.c.cast(other))) == 60
    doubles = rows.withColumn("c", rows.c.cast("double").cast("string"))
    assert right(model, doubles) == 60
    frame = rows.toPandas()
    for dtype in ("int8", "float64", "Int64", "float32", "str", "object", "category"):
        assert (model.to_sklearn().predict(frame.astype({"c": dtype})) == frame.label).all(), dtype


@pytest.mark.long
def test_missing_doubles_are_no_category(spark):
    rows = spark.range(60).selectExpr(
        "IF(id % 6 = 5, double('NaN'), double(id % 6)) AS c", "id % 2 AS label"
    )
    model = fitted(rows)
    assert model.schema.columns[0].categories == tuple("01234")
    strings = rows.withColumn("c", rows.c.cast("string"))
    codes = model.schema.encode(
        [pa.array([r[0] for r in rows.select(model.schema.transport()).collect()], pa.string())]
    )
    assert np.isnan(codes).sum() == 10
    assert "NaN" in fitted(strings).schema.columns[0].categories  # the word in a column of words


@pytest.mark.long
def test_true_and_false_from_files_tables_and_frames(spark, tmp_path):
    frame = pd.DataFrame({"c": np.arange(40) % 2 == 0})
    frame["label"] = np.where(frame.c, "yes", "no")
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    table = read_table(spark, str(tmp_path / "t.csv"), label="label", categorical=["c"])
    model = fitted(table.df)
    assert model.schema.columns[0].categories == ("false", "true")
    for df in (table.df, spark.read.parquet(str(tmp_path / "t.parquet"))):
        assert model.transform(df).where("predictedLabel = label").count() == 40
    for dtype in ("bool", "boolean", "object", "str", "category"):
        assert (model.to_sklearn().predict(frame.astype({"c": dtype})) == frame.label).all(), dtype


def test_adopted_files_of_doubles(spark, tmp_path):
    frame = pd.DataFrame({"c": (np.arange(40) % 4 + 20_000_000.0), "label": np.arange(40) % 2})
    frame.loc[0, "c"] = np.nan
    (tmp_path / "files").mkdir()
    frame.to_parquet(tmp_path / "files/a.parquet")
    data = adopt(spark, tmp_path / "files", tmp_path / "d", label="label", categorical=["c"])
    assert data.schema.columns[0].categories == tuple(str(20_000_000 + i) for i in range(4))
    block = data.read_block(0)
    assert np.isnan(block.X).sum() == 1
    assert (block.X[1:, 0] == np.arange(1, 40) % 4).all()


def test_categories_in_another_encoding_are_refused(spark):
    df = spark.range(60).selectExpr(
        "CAST(IF(id % 2 = 0, X'636166E9', X'636166E8') AS string) AS c", "id % 2 AS label"
    )
    with pytest.raises(DataError, match="not_utf8"):
        fitted(df)
