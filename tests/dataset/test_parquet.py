"""Parquet with times in nanoseconds, as pandas writes them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import sparkml_dist as sd
from sparkml_dist.dataset.parquet import read_parquet
from sparkml_dist.tables.read import read_table

START = pd.Timestamp("1969-12-31T23:59:59.999999700")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    home = tmp_path_factory.mktemp("times of day")
    when = pd.Series(pd.date_range(START, periods=40, freq="h").astype("datetime64[ns]"))
    when[1] = None
    frame = pd.DataFrame(
        {
            "a when": when,
            "utc": when.dt.tz_localize("UTC"),
            "id": np.arange(40) + 2**60,
            "x": range(40),
            "label": [i % 2 for i in range(40)],
        }
    )
    frame.to_parquet(home / "one file.parquet")
    return home


@pytest.mark.modes
def test_times_in_nanoseconds(spark, folder):
    df = read_parquet(spark, str(folder))
    assert dict(df.dtypes) == {
        "a when": "timestamp_ntz", "utc": "timestamp", "id": "bigint", "x": "bigint",
        "label": "bigint",
    }  # fmt: skip
    rows = df.selectExpr("string(`a when`)", "unix_micros(utc)", "id", "`a when` IS NULL").collect()
    assert tuple(rows[0]) == ("1969-12-31 23:59:59.999999", -1, 2**60, False)
    assert tuple(rows[1]) == (None, None, 2**60 + 1, True)
    assert tuple(rows[2])[:2] == ("1970-01-01 01:59:59.999999", 7_199_999_999)
    with pytest.raises(Exception, match="NANOS"):  # the session is as it was
        _ = spark.read.parquet(str(folder)).schema
    with pytest.raises(Exception, match="PATH_NOT_FOUND"):
        read_parquet(spark, str(folder / "nothing"))


def test_tables_and_shards_of_such_files(spark, folder, tmp_path):
    table = read_table(spark, str(folder), label="label", features=["x"])
    assert table.df.count() == 40
    assert table.schema.kinds == ("other", "other", "number", "number", "number")
    data = sd.adopt(spark, folder, tmp_path / "a", label="label", features=["x"])
    assert data.read_block(0).X[:, 0].tolist() == list(range(40))
    cut = sd.partition(table.df, tmp_path / "p", label="label", features=["x"], shards=2)
    assert cut.manifest.rows == 40
