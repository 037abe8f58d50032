"""Scores of Parquet files: those of transform, by file, with faults."""

from __future__ import annotations

import datetime
import decimal

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeRegressor

import sparkml_dist as sd
from sparkml_dist.errors import ConfigurationError, DataError, StorageError
from sparkml_dist.models import file_scoring

RNG = np.random.default_rng(3)
N = 600


def _table():
    rows = pd.DataFrame(
        {
            "id": np.arange(N),
            "x": RNG.normal(size=N),
            "whole": RNG.integers(-(2**40), 2**40, N),
            "flag": RNG.random(N) < 0.5,
            "site": RNG.choice(["a", "b", None], N),
            "day": RNG.integers(1, 4, N),
            "at": [
                datetime.datetime(2026, 5, 1, 12) + datetime.timedelta(seconds=int(i))
                for i in range(N)
            ],
            "price": [decimal.Decimal(int(i)) / 4 for i in RNG.integers(0, 99, N)],
        }
    )
    rows.loc[::17, "x"] = np.nan
    rows["kind"] = np.where((rows.x.fillna(0) > 0) ^ (rows.day == 2), "high", "low")
    return rows


@pytest.fixture(scope="module")
def table(spark):
    return spark.createDataFrame(_table()).repartition(3).cache()


@pytest.fixture(scope="module")
def files(table, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rows") / "in"
    table.write.partitionBy("day").parquet(str(folder))
    return folder


@pytest.fixture(scope="module")
def model(table):
    return sd.BaggingClassifier(
        estimator=RandomForestClassifier(5, max_depth=4, random_state=0),
        numMembers=2,
        numShards=2,
        labelCol="kind",
        featuresCols=["x", "whole", "flag", "site", "day", "price"],
        categoricalCols=["site", "day"],
    ).fit(table)


def _scores(df, columns):
    found = df.select("id", *columns).toPandas().sort_values("id", ignore_index=True)
    for name in found:
        if hasattr(found[name][0], "toArray"):
            found[name] = [v.toArray().tolist() for v in found[name]]
        elif isinstance(found[name][0], np.ndarray | list):
            found[name] = [list(v) for v in found[name]]
    return found


@pytest.mark.modes
def test_they_are_those_of_transform_to_the_bit(spark, model, files, tmp_path):
    found = model.score_files(files, tmp_path / "out")
    assert found.rows == N and found.files == len(list(files.rglob("*.parquet")))
    written = spark.read.parquet(str(tmp_path / "out"))
    rows = spark.read.parquet(str(files))
    expected = model.transform(rows)
    assert set(written.columns) == set(expected.columns)
    kept = dict(rows.dtypes)
    assert {n: t for n, t in written.dtypes if n in kept} == kept
    columns = [*rows.columns, "prediction", "probability", "rawPrediction", "predictedLabel"]
    pd.testing.assert_frame_equal(_scores(written, columns[1:]), _scores(expected, columns[1:]))
    assert {p.parent.name for p in (tmp_path / "out").rglob("*.parquet")} == {
        "day=1", "day=2", "day=3",
    }  # fmt: skip


@pytest.mark.long
def test_regressions_and_some_columns_only(spark, table, files, tmp_path):
    tree = DecisionTreeRegressor(max_depth=3)
    numbers = table.where("x = x")
    model = sd.BaggingRegressor(
        estimator=tree, numMembers=2, numShards=1, labelCol="x", featuresCols=["whole", "flag"]
    ).fit(numbers)
    one = next(files.rglob("*.parquet"))
    model.score_files(one, tmp_path / "out", keep=["id"])
    written = spark.read.parquet(str(tmp_path / "out"))
    assert written.columns == ["id", "prediction"]
    expected = _scores(model.transform(spark.read.parquet(str(one))), ["prediction"])
    pd.testing.assert_frame_equal(_scores(written, ["prediction"]), expected)


def test_large_files_are_cut_at_row_groups(spark, model, table, tmp_path, monkeypatch):
    rows = table.toPandas()
    rows["price"] = rows.price.astype(float)
    rows["day"] = rows.day.astype(str)
    rows.to_parquet(tmp_path / "rows.parquet", row_group_size=100, index=False)
    monkeypatch.setattr(
        file_scoring, "_PART_BYTES", (tmp_path / "rows.parquet").stat().st_size // 4
    )
    found = model.score_files(tmp_path / "rows.parquet", tmp_path / "out", keep=["id"])
    assert found.files == 5 and found.rows == N
    ids = pq.read_table(tmp_path / "out", columns=["id"]).column(0).to_pylist()
    assert sorted(ids) == list(range(N))


@pytest.mark.long
def test_an_interrupted_run_goes_on(spark, model, files, tmp_path, monkeypatch):
    broken = tmp_path / "in" / "z.parquet"
    for file in files.rglob("*.parquet"):
        target = tmp_path / "in" / file.relative_to(files)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    good = next((tmp_path / "in").rglob("*.parquet"))
    content = good.read_bytes()
    good.write_bytes(content[: len(content) // 2])
    stamp = good.stat().st_mtime_ns
    with pytest.raises(StorageError, match=good.name):
        model.score_files(tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out").exists() and not broken.exists()
    done = len(list((tmp_path / ".out.next").rglob("*.parquet")))
    with pytest.raises(ConfigurationError) as caught:  # the file is another one now
        good.write_bytes(content)
        model.score_files(tmp_path / "in", tmp_path / "out", resume=True)
    assert caught.value.code == "plan_differs" and stamp
    whole = model.score_files(tmp_path / "in", tmp_path / "out")
    again = model.score_files(tmp_path / "in", tmp_path / "out", resume=True)
    assert whole.rows == again.rows == N and again.kept_files == whole.files > done
    assert not (tmp_path / ".out.next").exists()


def test_what_does_not_fit_is_refused(model, files, tmp_path):
    with pytest.raises(StorageError, match="inside"):
        model.score_files(files, files / "out")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a.txt").write_text("")
    with pytest.raises(StorageError, match="not empty"):
        model.score_files(files, tmp_path / "full")
    with pytest.raises(StorageError, match="no Parquet"):
        model.score_files(tmp_path / "full", tmp_path / "out")
    pd.DataFrame({"x": [1.0], "whole": [1], "flag": [True], "site": ["a"]}).to_parquet(
        tmp_path / "few.parquet"
    )
    with pytest.raises(DataError, match="'day'") as caught:
        model.score_files(tmp_path / "few.parquet", tmp_path / "out")
    assert caught.value.code == "column_not_found" and not (tmp_path / "out").exists()
