"""Manifests of data sets that say what cannot be: refused before anything is read or allotted."""

from __future__ import annotations

import copy
import json
import shutil
import tracemalloc

import numpy as np
import pytest
from pyspark.ml.linalg import Vectors

from sparkml_dist import open_partitioned, partition
from sparkml_dist.errors import StorageError
from sparkml_dist.persistence.checksums import with_checksum


@pytest.fixture(scope="module")
def shards(spark, tmp_path_factory):
    path = tmp_path_factory.mktemp("d") / "shards"
    rows = [(float(i), float(i % 7), i % 2) for i in range(400)]
    partition(spark.createDataFrame(rows, "a double, b double, y int"), path, label="y", shards=2)
    return path


@pytest.fixture
def altered(shards, tmp_path):
    """Write a manifest with a change, sealed as it should be; return its folder."""

    def write(change):
        shutil.copytree(shards, tmp_path / "d", dirs_exist_ok=True)
        value = json.loads((shards / "manifest.json").read_text())
        value.pop("sha256")
        change(value)
        (tmp_path / "d" / "manifest.json").write_text(json.dumps(with_checksum(value)))
        return tmp_path / "d"

    return write


def test_an_honest_manifest_is_read(altered):
    assert open_partitioned(altered(lambda value: None)).n_rows == 400


@pytest.mark.parametrize(
    "file",
    ["../shard.parquet", "/etc/passwd", "file:///etc/passwd", "s3://b/k", "", "a\\b", 7, None],
)
@pytest.mark.parametrize("adopted", [False, True])
def test_shards_of_a_data_set_lie_in_its_folder(altered, file, adopted):
    folder = altered(lambda value: value["shards"][1].update(file=file))
    with pytest.raises(StorageError, match="name_outside_folder|altered_manifest"):
        open_partitioned(folder, adopted=adopted)


def test_files_elsewhere_are_read_where_the_user_says_so_only(altered, tmp_path):
    def elsewhere(value):
        value["encoded"] = False
        for shard in value["shards"]:
            shard["file"] = str(tmp_path / "other" / shard["file"])

    folder = altered(elsewhere)
    with pytest.raises(StorageError, match=r"adopted_elsewhere.*adopted=True"):
        open_partitioned(folder)
    assert len(open_partitioned(folder, adopted=True).shards) == 2
    folder = altered(lambda v: (elsewhere(v), v["shards"][0].update(file="/data/../etc/x")))
    with pytest.raises(StorageError, match="name_outside_folder"):
        open_partitioned(folder, adopted=True)


def test_a_shard_named_twice_is_refused(altered):
    folder = altered(lambda v: v["shards"][1].update(file=v["shards"][0]["file"]))
    with pytest.raises(StorageError, match="altered_manifest"):
        open_partitioned(folder)


def test_more_rows_than_a_file_can_hold_take_no_memory(altered):
    many = 10**13

    def change(value):
        value["shards"][0].update(rows=many, row_groups=[many], class_rows=[many, 0])

    folder = altered(change)
    tracemalloc.start()
    with pytest.raises(StorageError, match=r"altered_manifest.*10,000,000,000,000 rows"):
        open_partitioned(folder)
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()


def test_a_file_of_another_size_is_refused_before_memory_is_taken_for_it(altered):
    many = 10**11

    def change(value):
        value["shards"][0].update(
            rows=many, row_groups=[many], class_rows=[many, 0], bytes=10**12, block_bytes=8 * many
        )

    data = open_partitioned(altered(change))
    with pytest.raises(StorageError, match="file_altered"):
        data.read_block(0)


VALUES = (
    None,
    True,
    -1,
    2**70,
    1.5,
    "x",
    [],
    {},
    [[]],
    [-1],
    ["x"],
    float("nan"),
    "\ud800",
    {"a": 1},
)


def places(value, path=()):
    """Yield the path of every value of a document."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        yield (*path, key)
        if isinstance(inner, dict | list):
            yield from places(inner, (*path, key))


def test_a_field_of_another_kind_is_a_clear_error_or_does_no_harm(altered, shards):
    honest = json.loads((shards / "manifest.json").read_text())
    honest.pop("sha256")
    rng = np.random.default_rng(0)
    # The schema and the label are read by others.
    every = [p for p in places(honest) if p[0] not in ("features", "label", "format", "protocol")]
    for path in every:
        for new in [*rng.choice(len(VALUES), 4, replace=False), None]:
            value = copy.deepcopy(honest)
            at = value
            for key in path[:-1]:
                at = at[key]
            if new is None:
                del at[path[-1]]
            else:
                at[path[-1]] = VALUES[new]
            folder = altered(lambda v, value=value: (v.clear(), v.update(value)))
            try:
                data = open_partitioned(folder)
                data.read_block(0)
            except StorageError as error:
                assert error.hint, (path, new)


def test_a_row_with_a_feature_that_there_is_not_is_refused(spark, tmp_path):
    rows = [(Vectors.sparse(5000, [i, 4999], [1.0, 2.0]), i % 2) for i in range(60)]
    df = spark.createDataFrame(rows, ["x", "y"])
    data = partition(df, tmp_path / "s", label="y", features="x", shards=1)
    assert data.layout == "sparse"
    value = json.loads((tmp_path / "s" / "manifest.json").read_text())
    value.pop("sha256")
    value["features"] = json.loads(json.dumps(value["features"]).replace("5000", "4000"))
    (tmp_path / "s" / "manifest.json").write_text(json.dumps(with_checksum(value)))
    with pytest.raises(StorageError, match="beyond the manifest's 4,000"):
        open_partitioned(tmp_path / "s").read_block(0)
