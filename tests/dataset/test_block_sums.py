"""Sums over the row groups of shards: a Gram matrix, the same bits for any number of tasks."""

from __future__ import annotations

import numpy as np
import pytest

from sparkml_dist import partition
from sparkml_dist.dataset.block_sums import sum_over_blocks
from sparkml_dist.errors import StorageError


def centred(block, centre):
    d = block.X - centre
    return {"gram": d.T @ d, "rows": len(block), "y": block.y.sum(), "least": np.ones(2)}


@pytest.mark.modes("connect")
def test_gram_matrix(spark, tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(900, 3)) + 1e4
    rows = [(*map(float, x), int(x[0] > 1e4)) for x in X]
    df = spark.createDataFrame(rows, "a double, b double, c double, label int")
    data = partition(df, str(tmp_path / "d"), label="label", shards=5)
    float32 = X.astype(np.float32).astype(np.float64)
    centre = float32.mean(axis=0)
    found = [sum_over_blocks(spark, data, centred, (centre,), tasks=t) for t in (None, 1, 3)]
    for one in found[1:]:
        assert all(one[k].tobytes() == found[0][k].tobytes() for k in one)
    d = float32 - centre
    assert np.allclose(found[0]["gram"], d.T @ d, rtol=1e-13)
    assert found[0]["rows"] == 900
    assert found[0]["y"] == sum(r[3] for r in rows)
    assert found[0]["least"][0] == sum(len(s.row_groups) for s in data.shards)
    (only,) = sum_over_blocks(spark, data, mean_of, features=[2]).values()
    assert only == pytest.approx(float32[:, 2].sum())
    data.folder.delete_file(data.shards[3].file)
    with pytest.raises(StorageError, match=r"Shard 3: .*"):
        sum_over_blocks(spark, data, mean_of)


def mean_of(block):
    return {"x": block.X.sum()}
