"""Shards on their way to workers: the same entries, in a number of objects that does not grow."""

from __future__ import annotations

import hashlib
import pickle
import pickletools
from dataclasses import replace

import pytest

from sparkml_dist.dataset.labels import Label
from sparkml_dist.dataset.manifest import Manifest, ShardInfo
from sparkml_dist.dataset.schema import FeatureColumn, FeatureSchema
from sparkml_dist.persistence.filesystem import Folder

SCHEMA = FeatureSchema((FeatureColumn("x", "numeric"),))


def manifest(shards, classes=(0, 1)):
    def sha(text):
        return hashlib.sha256(text.encode()).hexdigest()

    infos = tuple(
        ShardInfo(
            i,
            f"shards-0/schärd-{i:05d}.parquet",
            5 + i % 3,
            1 << 33 if i == 1 else 4000 + i,
            400,
            sha(f"{i}"),
            sha(f"footer {i}"),
            (5,) if i % 3 == 0 else (5, i % 3),
            (5, i % 3) if classes else (),
            i,
        )
        for i in range(shards)
    )
    label = Label("y", "integer", classes) if classes else Label("y", "target")
    return Manifest(SCHEMA, label, None, (), 0, infos)


@pytest.mark.parametrize("classes", [(0, 1), ()])
def test_the_entries_survive(classes):
    before = manifest(7, classes)
    after = pickle.loads(pickle.dumps(before))
    assert after == before
    assert before == after
    assert tuple(after.shards) == before.shards
    assert after.shards[-1] == before.shards[-1]
    assert after.shards[2:5] == before.shards[2:5]
    assert (after.rows, after.content_sha256) == (before.rows, before.content_sha256)
    assert type(after.shards[1].bytes) is int
    with pytest.raises(IndexError):
        after.shards[7]
    again = pickle.loads(pickle.dumps(replace(after, shards=after.shards[:2])))
    assert again.shards == before.shards[:2]


def test_the_objects_that_a_task_unpickles_do_not_grow_with_the_shards():
    few, many = (sum(1 for _ in pickletools.genops(pickle.dumps(manifest(n)))) for n in (10, 2000))
    assert many <= few + 10


def test_a_manifest_has_one_line_for_each_shard(tmp_path):
    folder = Folder.at(tmp_path)
    lines = []
    for shards in (3, 13):
        written = manifest(shards)
        written = replace(
            written, shards=tuple(replace(s, file=f"s-{s.index}") for s in written.shards)
        )
        written = replace(written, shards=tuple(replace(s, bytes=9999) for s in written.shards))
        written.write(folder)
        assert Manifest.read(folder) == written
        lines.append(len(folder.read_bytes("manifest.json").splitlines()))
    assert lines[1] - lines[0] == 10
