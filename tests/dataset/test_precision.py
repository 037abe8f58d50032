"""Features in double precision: in shards, in adopted files, and where rows are encoded."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.sparse as sp

from sparkml_dist import adopt, open_partitioned, partition
from sparkml_dist.dataset.schema import (
    UNSEEN,
    FeatureColumn,
    FeatureSchema,
    is_unseen,
    with_unseen_codes,
)
from tests.written import written

TENTHS = np.array([88.2, 0.1, 1 / 3, 1e9 + 0.25])


def test_rows_are_encoded_as_doubles():
    columns = (FeatureColumn("a", "numeric"), FeatureColumn("c", "categorical", 1, ("x", "y")))
    schema = FeatureSchema(columns, "columns", "float64")
    packed = pa.FixedSizeListArray.from_arrays(pa.array(TENTHS), 1)
    found = schema.encode([packed, pa.array(["x", "y", "z", None])])
    assert found.dtype == np.float64
    assert found[:, 0].tolist() == TENTHS.tolist()
    assert is_unseen(found[:, 1]).tolist() == [False, False, True, False]
    assert np.isnan(found[2:, 1]).all()
    assert with_unseen_codes(found, [0, 2])[2, 1] == 2.0
    # Code that widens float32 sees the same mark.
    assert is_unseen(np.array([UNSEEN]).astype(np.float64)).all()
    again = FeatureSchema.from_dict(schema.to_dict())
    assert again == schema
    assert "precision" not in FeatureSchema(columns).to_dict()


@pytest.mark.parametrize("sparse", [False, True])
def test_shards_hold_doubles(tmp_path, sparse):
    X = np.column_stack([TENTHS, TENTHS[::-1]])
    given = sp.csr_matrix(X) if sparse else X
    weight = TENTHS / 1e9
    data = written(tmp_path / "d", given, TENTHS, shards=2, groups=1, weight=weight)
    block = open_partitioned(data.location).read_block([0, 1], dtype=np.float64)
    order = np.argsort(block.key)
    dense = block.X.toarray() if sparse else block.X
    assert dense[order].tolist() == X.tolist()
    assert block.weight[order].tolist() == weight.tolist()
    assert sum(s.block_bytes for s in data.shards) >= X.nbytes
    single = written(tmp_path / "s", given, TENTHS, shards=2, precision="float32")
    assert single.read_block(0).weight is None
    assert sum(s.block_bytes for s in single.shards) < sum(s.block_bytes for s in data.shards)


def test_tables_and_files(spark, tmp_path):
    rows = [(float(x), float(-x), [float(x)], i % 2) for i, x in enumerate(TENTHS)]
    df = spark.createDataFrame(rows, "a double, w double, v array<double>, label int")
    df = df.withColumn("w", -df["w"])
    given = {"label": "label", "features": ["a", "v"], "weight": "w", "precision": "float64"}
    data = partition(df, str(tmp_path / "d"), shards=1, **given)
    block = data.read_block(0, dtype=np.float64)
    assert sorted(block.X[:, 0].tolist()) == sorted(TENTHS.tolist())
    assert (block.X[:, 0] == block.X[:, 1]).all()
    assert (block.weight == block.X[:, 0]).all()
    (tmp_path / "files").mkdir()
    pq.write_table(
        pa.Table.from_pylist(df.toPandas().to_dict("records")), tmp_path / "files/a.parquet"
    )
    adopted = adopt(spark, tmp_path / "files", str(tmp_path / "a"), **given)
    block = adopted.read_block(0, dtype=np.float64)
    assert block.X[:, 0].tolist() == TENTHS.tolist()
    assert block.weight.tolist() == TENTHS.tolist()
