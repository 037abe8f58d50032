"""Reading in batches: any batch size, row groups and features, dense and sparse, in bounds."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse as sp

from sparkml_dist.cluster.memory import PeakMemory, resident_bytes
from sparkml_dist.dataset import reader
from sparkml_dist.dataset.block_builder import BlockBuilder
from sparkml_dist.dataset.labels import Label
from sparkml_dist.dataset.manifest import Manifest, ShardInfo
from sparkml_dist.dataset.schema import FeatureColumn, FeatureSchema
from sparkml_dist.dataset.writer import ShardWriter
from sparkml_dist.persistence.filesystem import Folder

ROWS, WIDTH = 5000, 7


def written(folder, schema, X, *, row_group_rows=1500):
    """Write `X` as one shard, without Spark; labels are 0, 1, 0, …; keys are row numbers."""
    n = len(X)
    label = Label("y", "integer", (0, 1))
    writer = ShardWriter(Folder.at(folder), schema, label, False, row_group_rows)
    width = schema.n_features
    carried = pa.FixedSizeListArray.from_arrays(pa.array(X.ravel()), width)
    if schema.layout == "sparse":
        rows = sp.csr_matrix(X)
        offsets = pa.array(rows.indptr.astype(np.int32))
        carried = pa.StructArray.from_arrays(
            [
                pa.array(np.full(n, width, np.int32)),
                pa.ListArray.from_arrays(offsets, pa.array(rows.indices.astype(np.int32))),
                pa.ListArray.from_arrays(offsets, pa.array(rows.data)),
            ],
            ["size", "indices", "values"],
        )
    number = pa.array(np.arange(n))
    batch = pa.record_batch(
        [number, number, pa.array(np.arange(n) % 2), carried], ["d", "k", "l", "v"]
    )
    outcome = writer.write(0, [batch])
    shard = ShardInfo.from_dict(outcome["shard"])
    return Folder.at(folder), Manifest(schema, label, None, (), 0, (shard,))


def schema_of(layout, width=WIDTH):
    if layout == "columns":
        return FeatureSchema(tuple(FeatureColumn(f"x{i}", "numeric") for i in range(width)))
    kind = "struct" if layout == "sparse" else "array"
    return FeatureSchema((FeatureColumn("x", kind, width),), layout)


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(ROWS, WIDTH)).astype(np.float32)
    values[rng.random((ROWS, WIDTH)) < 0.6] = 0
    return values


@pytest.mark.parametrize("layout", ["columns", "dense", "sparse"])
@pytest.mark.parametrize("batch_rows", [1, 333, 4096, 10**6])
def test_batches_do_not_show(tmp_path, monkeypatch, X, layout, batch_rows):
    folder, manifest = written(tmp_path, schema_of(layout), X)
    monkeypatch.setattr(reader, "_LEAST_BATCH_ROWS", batch_rows)
    monkeypatch.setattr(reader, "_LEAST_STRIP_ROWS", min(batch_rows, 100))
    monkeypatch.setattr(reader, "_PIECE_BYTES", 1)
    for groups, rows in (
        (None, slice(None)),
        ([3], slice(4500, None)),
        ([1, 2], slice(1500, 4500)),
    ):
        for features in (None, [5, 0]):
            block = reader.read_block(folder, manifest, [0], row_groups=groups, features=features)
            assert np.array_equal(block.key, np.arange(ROWS)[rows])
            assert np.array_equal(block.y, block.key % 2)
            expected = X[rows] if features is None else X[rows][:, features]
            if layout == "sparse":
                assert block.X.has_canonical_format or features
                assert block.X.indices.dtype == block.X.indptr.dtype == np.int32
                assert np.array_equal(block.X.toarray(), expected)
            else:
                assert block.X.flags.c_contiguous
                assert np.array_equal(block.X, expected)


def test_row_groups_come_in_the_order_asked_for(tmp_path, X):
    folder, manifest = written(tmp_path, schema_of("columns"), X)
    block = reader.read_block(folder, manifest, [0], row_groups=[2, 0])
    assert np.array_equal(block.key, np.r_[3000:4500, 0:1500])
    assert np.array_equal(block.X, X[block.key])


@pytest.mark.parametrize("layout", ["columns", "sparse"])
def test_a_shard_without_rows(tmp_path, layout):
    folder, manifest = written(tmp_path, schema_of(layout), np.empty((0, WIDTH), np.float32))
    assert reader.read_block(folder, manifest, [0, 0]).X.shape == (0, WIDTH)


def test_more_stored_values_than_room():
    builder = BlockBuilder(2, 3, dtype="f4", label_dtype="i4", weighted=False, capacity=4)
    place = builder.add(np.zeros(2), None, np.zeros(2))
    with pytest.raises(BufferError, match="more stored values than the 4"):
        builder.add_sparse(place, sp.csr_matrix(np.ones((2, 3), np.float32)))


@pytest.mark.parametrize("row_group_rows", [65_536, 10**6])
def test_beside_the_block_there_is_little(tmp_path, row_group_rows):
    X = np.random.default_rng(0).normal(size=(400_000, 28)).astype(np.float32)
    folder, manifest = written(tmp_path, schema_of("columns", 28), X, row_group_rows=row_group_rows)
    del X
    reader.read_block(folder, manifest, [0], features=[0])  # now Arrow's own pages are in memory
    with PeakMemory() as memory:
        block = reader.read_block(folder, manifest, [0])
    assert memory.peak - memory.base < 1.5 * block.nbytes
    left = resident_bytes() - memory.base
    assert left < 1.2 * block.nbytes


def test_one_row_group_is_not_decoded_with_the_next(tmp_path, X):
    folder, manifest = written(tmp_path, schema_of("columns"), X)
    shard, reading = manifest.shards[0], reader._Reading(manifest, None)
    ends = reader._batches(folder, shard, folder.info(shard.file), reading, None, True)
    assert [len(batch) for batch in ends] == [1500, 1500, 1500, 500]
