"""Manifests of checkpoints that say what cannot be, and arrays that declare what is not there."""

from __future__ import annotations

import copy
import io
import json
import zipfile

import numpy as np
import pytest

from sparkml_dist.deep.checkpoint.content import checked_content, checked_plan
from sparkml_dist.deep.checkpoint.model_signature import first_difference
from sparkml_dist.deep.checkpoint.progress_point import ProgressPoint
from sparkml_dist.errors import StorageError
from sparkml_dist.persistence.checkpoints import CheckpointId, CheckpointStore
from sparkml_dist.persistence.checksums import with_checksum
from sparkml_dist.persistence.filesystem import Folder

ID = CheckpointId(1, 40)
LAYER = {
    "name": "dense",
    "class": "Dense",
    "config": {"units": 2},
    "weights": [["kernel", [4, 2], "float32"]],
}
MODEL = {
    "layers": [LAYER],
    "weights": [["kernel", [4, 2], "float32"]],
    "optimizer": {"class": "Adam", "variables": [["iteration", [], "int64"]]},
}
CONTENT = {
    "progress": ProgressPoint(2, 10, 40, 0, 1.5, 0.5, ({"loss": 1.0},)).to_dict(),
    "plan": {"lanes": 4, "batch_size": 32, "rate_batches": 4, "data": "ab", "rows": 9, "seed": 0},
    "ranks": 2,
    "model": MODEL,
    "extra": {"best_epoch": 1, "best": 0.5, "waited": 1},
    "shards": [{"weights/0000": [10, 0, 2]}, {"weights/0000": [10, 1, 2]}],
}


@pytest.fixture
def store(tmp_path):
    found = CheckpointStore(Folder.at(tmp_path / "checkpoints"))
    found.write(ID, {"state.npz": {"n": np.arange(3)}}, CONTENT)
    return found


def rewrite(store, change):
    """Write the manifest with a change, sealed as it should be."""
    folder = store.folder.child(str(ID))
    value = folder.read_json("manifest.json")
    value.pop("sha256")
    change(value)
    folder.write_json("manifest.json", with_checksum(value))


def test_an_honest_checkpoint_passes(store):
    checkpoint = store.read(ID)
    checkpoint.verify("state.npz")
    assert checked_content(checkpoint) == json.loads(json.dumps(CONTENT))
    assert checked_plan(checkpoint)["lanes"] == 4
    rewrite(store, lambda v: v["content"].update(extra=None, shards=[]))
    checked_content(store.read(ID))


@pytest.mark.parametrize("name", ["../state.npz", "/etc/passwd", "a//b", "C:\\x", "file:///x", ""])
def test_files_of_a_checkpoint_lie_in_its_folder(store, name):
    rewrite(store, lambda v: v["files"].update({name: {"bytes": 1, "sha256": "0" * 64}}))
    with pytest.raises(StorageError, match="name_outside_folder"):
        store.read(ID)


VALUES = (None, True, -1, 2**70, 1.5, "x", [], {}, [[]], ["x", 1], float("nan"), {"a": 1}, 0)


def places(value, path=()):
    """Yield the path of every value of a document."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*path, key)
        if isinstance(inner, dict | list):
            yield from places(inner, (*path, key))


def use(store):
    """Do with a checkpoint what a training does; without its arrays."""
    checkpoint = store.read(ID)
    content = checked_content(checkpoint)
    checked_plan(checkpoint)
    for name in checkpoint.files:
        checkpoint.verify(name)
    checkpoint.arrays("state.npz")
    first_difference(content["model"], MODEL)
    ProgressPoint.from_dict(content["progress"], 3)


def test_every_field_of_another_kind_is_a_clear_error_or_does_no_harm(store):
    honest = store.folder.child(str(ID)).read_json("manifest.json")
    honest.pop("sha256")
    refused = 0
    for path in places(honest):
        for new in (*VALUES, KeyError):
            value = copy.deepcopy(honest)
            at = value
            for key in path[:-1]:
                at = at[key]
            if new is KeyError:
                del at[path[-1]]
            else:
                at[path[-1]] = new
            rewrite(store, lambda v, value=value: (v.clear(), v.update(value)))
            try:
                use(store)
            except StorageError as error:
                assert error.hint, (path, new)
                refused += 1
    assert refused > 400


@pytest.mark.parametrize("text", ["", "[]", "null", "3", "{", "[" * 100_000, '{"a": 1}', "\xff"])
def test_what_is_no_manifest_is_told(store, text):
    store.folder.child(str(ID)).write_bytes("manifest.json", text.encode("latin-1"))
    with pytest.raises(StorageError) as refusal:
        store.read(ID)
    assert refusal.value.hint


def npz(header_shape, payload=b"", compression=zipfile.ZIP_STORED):
    """Return an archive with one array, whose header declares a shape of float64."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        head, {"descr": "<f8", "fortran_order": False, "shape": header_shape}
    )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        archive.writestr("n.npy", head.getvalue() + payload)
    return out.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        npz((10**12,), b"x" * 80),
        npz((2**40, 2**40), b""),
        npz((0, 2**62), b"x"),
        npz((10**7,), b"\0" * (8 * 10**7), zipfile.ZIP_DEFLATED),
        b"PK",
        b"",
        b"\x80\x04K\x01.",
    ],
    ids=["long", "wide", "beside", "deflated", "cut", "empty", "pickle"],
)
def test_arrays_that_are_not_there_take_no_memory(store, content):
    folder = store.folder.child(str(ID))
    folder.write_bytes("state.npz", content)
    with pytest.raises(StorageError, match="checkpoint_damaged"):
        store.read(ID).arrays("state.npz")


def test_a_file_that_is_not_listed_is_not_read(store):
    with pytest.raises(StorageError, match=r"checkpoint_damaged.*no other\.npz"):
        store.read(ID).verify("other.npz")
