"""Faults on disk: a cut file, a changed byte, an altered manifest, a newer protocol."""

from __future__ import annotations

import json
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sparkml_dist import open_partitioned, partition
from sparkml_dist.errors import StorageError
from sparkml_dist.persistence.checksums import with_checksum


@pytest.fixture
def data(spark, tmp_path):
    frame = spark.range(4000).selectExpr("rand(1) AS x", "rand(2) AS z", "id % 2 AS y")
    return partition(frame, tmp_path / "d", label="y", shards=2)


def refused(action, code):
    with pytest.raises(StorageError) as caught:
        action()
    assert caught.value.code == code, caught.value
    return caught.value


def test_a_cut_shard(data):
    path = f"{data.location}/{data.shards[1].file}"
    os.truncate(path, data.shards[1].bytes - 100)
    assert len(data.read_block(0)) == data.shards[0].rows
    error = refused(lambda: data.read_block(1), "file_altered")
    assert data.shards[1].file in error.message


def test_any_changed_byte_is_noticed(data):
    path = f"{data.location}/{data.shards[0].file}"
    with open(path, "rb") as file:
        good = bytearray(file.read())
    # Pages, page headers, footer: a step that is no divisor of anything visits all of them.
    unnoticed = []
    for position in range(5, len(good), 997):
        bad = bytearray(good)
        bad[position] ^= 0x10
        with open(path, "wb") as file:
            file.write(bad)
        try:
            data.read_block(0)
        except StorageError as error:
            assert error.code == "file_altered", error
        else:
            unnoticed.append(position)
        refused(data.verify, "file_altered")
    assert not unnoticed


@pytest.mark.parametrize("row_group_rows", [None, 500])
def test_a_file_with_more_rows_than_the_manifest(data, row_group_rows):
    path = f"{data.location}/{data.shards[0].file}"
    table = pq.read_table(path)
    pq.write_table(pa.concat_tables([table, table]), path, row_group_size=row_group_rows)
    refused(lambda: data.read_block(0), "file_altered")
    for groups in (None, [0]):
        error = refused(lambda g=groups: data.read_block(0, g, verify=False), "file_altered")
        assert f"instead of {data.shards[0].rows:,}" in error.message


def test_a_missing_shard(data):
    os.remove(f"{data.location}/{data.shards[0].file}")
    refused(lambda: data.read_block(0), "file_not_found")


def rewrite(data, change, *, checksum):
    path = f"{data.location}/manifest.json"
    with open(path) as file:
        value = json.load(file)
    change(value)
    with open(path, "w") as file:
        json.dump(with_checksum(value) if checksum else value, file)


def test_an_altered_manifest(data):
    rewrite(data, lambda v: v.update(seed=1), checksum=False)
    refused(lambda: open_partitioned(data.location), "altered_manifest")


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v.pop("shards"),
        lambda v: v["shards"][0].update(colour="red"),
        lambda v: v.update(features=None),
        lambda v: v["features"].update(columns=["x", "z"]),
    ],
)
def test_a_manifest_that_is_not_whole(data, change):
    rewrite(data, change, checksum=True)
    error = refused(lambda: open_partitioned(data.location), "altered_manifest")
    assert "manifest.json" in error.message and "again" in error.hint


def test_a_newer_protocol(data):
    rewrite(data, lambda v: v.update(protocol=99), checksum=True)
    error = refused(lambda: open_partitioned(data.location), "newer_protocol")
    assert "Upgrade" in error.hint


def test_a_manifest_of_something_else(data):
    rewrite(data, lambda v: v.update(format="sparkml_dist.model"), checksum=True)
    refused(lambda: open_partitioned(data.location), "not_a_manifest")


def test_a_cut_manifest(data):
    path = f"{data.location}/manifest.json"
    os.truncate(path, 200)
    refused(lambda: open_partitioned(data.location), "altered_manifest")


def test_no_data_set_there(tmp_path):
    refused(lambda: open_partitioned(tmp_path), "not_a_dataset")
