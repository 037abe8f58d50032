"""Parquet files that stay where they are."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sparkml_dist import adopt, open_partitioned
from sparkml_dist.errors import DataError, StorageError


@pytest.fixture
def source(tmp_path):
    rng = np.random.default_rng(0)
    parts = []
    for i in range(3):
        part = pd.DataFrame(
            {
                "x": rng.normal(size=400),
                "n": rng.integers(0, 9, 400),
                "colour": rng.choice(["red", "blue"], 400),
                "y": rng.choice(["no", "yes"], 400),
                "id": np.arange(400) + 400 * i,
            }
        )
        part.loc[::50, "x"] = np.nan
        (tmp_path / "in").mkdir(exist_ok=True)
        part.to_parquet(tmp_path / "in" / f"p{i}.parquet", row_group_size=150)
        parts.append(part)
    return tmp_path / "in", parts


@pytest.mark.modes
def test_files_are_read_as_blocks(spark, source, tmp_path):
    folder, parts = source
    data = adopt(spark, folder, tmp_path / "m", label="y", key="id", categorical=["colour"])
    assert data.classes == ["no", "yes"]
    assert data.feature_names == ["x", "n", "colour"]
    assert [s.rows for s in data.shards] == [400] * 3
    assert data.shards[0].row_groups == (150, 150, 100)
    assert data.manifest.missing_features == (0,)
    for i, part in enumerate(parts):
        block = open_partitioned(tmp_path / "m", adopted=True).read_block(i)
        assert np.array_equal(block.y, (part.y == "yes").astype(int))
        assert np.allclose(block.X[:, 0], part.x.astype("float32"), equal_nan=True)
        assert np.array_equal(block.X[:, 1], part.n)
        assert np.array_equal(block.X[:, 2], (part.colour == "red").astype(int))
        assert len(np.unique(block.key)) == 400
    data.verify()
    assert sorted(p.name for p in folder.iterdir()) == ["p0.parquet", "p1.parquet", "p2.parquet"]
    assert [p.name for p in (tmp_path / "m").iterdir()] == ["manifest.json"]


def test_keys_of_content_do_not_depend_on_the_row_group(spark, source, tmp_path):
    folder, _ = source
    data = adopt(spark, folder, tmp_path / "m", label="y", features=["x", "n"])
    whole = data.read_block(0)
    tail = data.read_block(0, row_groups=[2])
    assert np.array_equal(whole.key[300:], tail.key)
    assert np.array_equal(whole.X[300:], tail.X, equal_nan=True)


def test_no_parquet(spark, tmp_path):
    (tmp_path / "in").mkdir()
    with pytest.raises(StorageError, match="no_parquet"):
        adopt(spark, tmp_path / "in", tmp_path / "m", label="y")


@pytest.mark.parametrize("value", [np.inf, 1e300])
def test_infinite_values_are_refused(spark, tmp_path, value):
    (tmp_path / "in").mkdir()
    frame = pd.DataFrame({"w": [0.0, 1.0], "x": [1.0, value], "y": [0, 1]})
    frame.to_parquet(tmp_path / "in" / "a.parquet")
    with pytest.raises(DataError, match=r"'x' is infinite.*a\.parquet") as caught:
        adopt(spark, tmp_path / "in", tmp_path / "m", label="y")
    assert caught.value.code == "infinite_feature"
    assert not (tmp_path / "m").exists()


def test_sparse_vectors_stay_sparse(spark, tmp_path):
    from pyspark.ml.linalg import Vectors

    rows = [(Vectors.sparse(9, {i % 9: 1.0, 8: 2.0 + i}), i % 2) for i in range(200)]
    frame = spark.createDataFrame(rows, ["v", "y"])
    frame.coalesce(1).write.parquet(str(tmp_path / "in"))
    data = adopt(spark, tmp_path / "in", tmp_path / "m", label="y")
    assert data.layout == "sparse"
    block = data.read_block(0)
    expected = np.array([v.toArray() for v, _ in rows])
    assert np.array_equal(block.X.toarray(), expected)
    assert data.shards[0].block_bytes == block.nbytes
