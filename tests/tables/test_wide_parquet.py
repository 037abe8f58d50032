"""Wide Parquet tables, packed: the same rows, shards and scores as those of Spark's reader."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sparkml_dist.dataset import partition
from sparkml_dist.dataset.packed_columns import PACKED, packed_columns, unpacked_types
from sparkml_dist.tables import wide_parquet
from sparkml_dist.tables.read import read_table
from sparkml_dist.tables.wide_parquet import packed_table
from tests.long import cases


@pytest.fixture
def narrow(monkeypatch):
    monkeypatch.setattr(wide_parquet, "WIDE", 4)


def table_of(spark, folder, **columns):
    """A table of two files with two row groups each, with nulls."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(60, 5)).astype(np.float32)
    values = {
        **{f"x {i}": pa.array(X[:, i], mask=X[:, i] > 2) for i in range(4)},
        "label": pa.array((X[:, 0] > 0).astype(np.int32)),
        "colour": pa.array([["red", "blue", None][i % 3] for i in range(60)]),
        "x4": pa.array(X[:, 4]),
        **columns,
    }
    table = pa.table(values)
    (folder / "t.parquet").mkdir()
    for at in range(2):
        part = table.slice(30 * at, 30)
        pq.write_table(part, folder / "t.parquet" / f"{at}.parquet", row_group_size=20)
    return read_table(spark, str(folder / "t.parquet"), categorical=["colour"])


@pytest.mark.parametrize("whole", cases([False, True], [True]), ids=["float", "double"])
def test_the_shards_are_those_of_the_columns(spark, tmp_path, narrow, whole):
    more = {"n": pa.array(range(60), pa.int32()), "b": pa.array([i % 7 == 0 for i in range(60)])}
    table = table_of(spark, tmp_path, **more if whole else {})
    df = packed_table(table)
    numeric = [n for n in table.features if n != "colour"]
    assert packed_columns(df) == tuple(numeric)
    assert df.columns == ["label", "colour", PACKED]
    assert [*unpacked_types(df)] == table.df.columns
    settings = {
        "label": "label",
        "features": table.features,
        "categorical": ["colour"],
        "shards": 2,
    }
    packed = partition(df, tmp_path / "packed", **settings)
    plain = partition(table.df, tmp_path / "plain", **settings)
    assert packed.schema == plain.schema
    assert packed.manifest.missing_features == plain.manifest.missing_features
    assert packed.manifest.content_sha256 == plain.manifest.content_sha256


def test_a_model_scores_packed_rows_alike(spark, tmp_path, narrow):
    from sklearn.tree import DecisionTreeClassifier

    from sparkml_dist import BaggingClassifier

    table = table_of(spark, tmp_path)
    df = packed_table(table)
    data = partition(
        df,
        tmp_path / "d",
        label="label",
        features=table.features,
        categorical=["colour"],
        shards=1,
    )
    model = BaggingClassifier(estimator=DecisionTreeClassifier(max_depth=2), numMembers=1).fit(data)
    kept = ["label", "colour", "probability"]
    found = sorted(map(str, model.transform(df).select(*kept).collect()))
    assert found == sorted(map(str, model.transform(table.df).select(*kept).collect()))


def test_what_is_left_to_spark(spark, tmp_path, narrow):
    table = table_of(spark, tmp_path, day=pa.array([0] * 60, pa.date32()))
    table = replace(table, schema=replace(table.schema, features=table.schema.features[:-1]))
    assert packed_table(table) is None  # a column of days
    few = replace(table, schema=replace(table.schema, features=("x4",)))
    assert packed_table(few) is None
