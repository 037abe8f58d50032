"""Silos as values of a column and as data sets: written by one job, asked by one job a round."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import sparkml_dist as sd
from sparkml_dist.errors import SparkMLDistError

RANDOM = np.random.default_rng(5)
ROWS = 60
FRAME = pd.DataFrame(
    {
        "x": RANDOM.normal(size=ROWS),
        "c": RANDOM.choice(["u", "v"], ROWS),
        "y": RANDOM.choice(["no", "yes"], ROWS),
        "silo": RANDOM.choice(["a/b", "ü", "west"], ROWS, p=[0.6, 0.3, 0.1]),
    }
)


@pytest.mark.modes
def test_silos_of_a_frame(spark, tmp_path):
    df = spark.createDataFrame(FRAME.drop(columns="c"))
    federation = sd.Federation.from_frame(df, "silo", label="y", folder=str(tmp_path / "f"))
    counts = FRAME.silo.value_counts().to_dict()
    assert federation.names == sorted(counts) and federation.schema.rows == counts
    replies = federation.ask("rows", {"a": 1}, own={"ü": ({"b": 2}, {"x": np.ones(2)})})
    for name, answer in replies:
        own = FRAME[FRAME.silo == name]
        expected = [(own.y == "no").sum(), (own.y == "yes").sum()]
        assert answer.arrays["class_rows"].tolist() == expected
    # Each folder holds the rows of its silo and no others.
    for place, name in enumerate(federation.names):
        data = sd.open_partitioned(tmp_path / "f" / "silos" / f"{place:06d}" / "data")
        read = data.read_block(range(len(data.shards)), dtype=np.float64)
        assert sorted(read.X[:, 0]) == sorted(FRAME.x[FRAME.silo == name])
    assert federation.ledger("ü").arrays.tolist()[-2:] == [
        "x f8[2]",
        "rows f8[1], class_rows f8[2]",
    ]


@pytest.mark.long
def test_a_second_run_goes_on(spark, tmp_path):
    df = spark.createDataFrame(FRAME)
    arguments = {"label": "y", "categorical": ["c"], "folder": str(tmp_path / "f")}
    first = sd.Federation.from_frame(df, "silo", **arguments)
    first.sum("rows")
    again = sd.Federation.from_frame(df, "silo", **arguments)
    assert again.run == first.run
    again.sum("rows")
    assert again.audit().checksum.tolist() == first.audit().checksum.tolist()
    with pytest.raises(SparkMLDistError, match="plan_differs"):
        sd.Federation.from_frame(df.limit(50), "silo", **arguments)


def test_wrong_columns_of_silos(spark):
    df = spark.createDataFrame(FRAME)
    for frame, column, code in [
        (df, "sillo", "column_not_found"),
        (df.selectExpr("x", "y", "nullif(silo, 'west') AS silo"), "silo", "group_null"),
    ]:
        with pytest.raises(SparkMLDistError) as caught:
            sd.Federation.from_frame(frame, column, label="y", features="x")
        assert caught.value.code == code


@pytest.mark.long
def test_data_sets_as_silos_one_of_which_is_damaged(spark, tmp_path):
    df = spark.createDataFrame(FRAME).drop("silo")
    data = {
        name: sd.partition(df.where(where), tmp_path / name, label="y", categorical=["c"], shards=2)
        for name, where in {"a": "x < 0", "b": "x >= 0"}.items()
    }
    federation = sd.Federation.of_datasets(data, folder=str(tmp_path / "f"))
    assert federation.sum("rows").arrays["rows"].tolist() == [float(ROWS)]
    next((tmp_path / "b").rglob("*.parquet")).write_bytes(b"damaged")
    replies = federation.ask("rows")
    assert replies.names == ["a"] and replies.failed["b"].code == "file_altered"


@pytest.mark.long
def test_a_thousand_silos(spark, tmp_path):
    names = [f"s{i:04d}" for i in range(1000)]
    frame = pd.DataFrame({"x": np.arange(3000.0), "y": 0, "silo": names * 3})
    frame.loc[:10, "y"] = 1
    federation = sd.Federation.from_frame(spark.createDataFrame(frame), "silo", label="y")
    summed = federation.sum("rows")
    assert summed.silos == names and summed.arrays["class_rows"].tolist() == [2989.0, 11.0]
    assert len(federation.audit()) == 6000
