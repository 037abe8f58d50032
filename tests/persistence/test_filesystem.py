"""Atomic commits at paths and URIs."""

from __future__ import annotations

import os
import pickle
from threading import Barrier, Thread

import pytest

from sparkml_dist.errors import StorageError
from sparkml_dist.persistence.filesystem import Folder


@pytest.fixture(params=["path", "uri"])
def folder(request, tmp_path):
    return Folder.at(str(tmp_path / "f") if request.param == "path" else (tmp_path / "f").as_uri())


def test_write_read_walk_delete(folder):
    assert folder.is_empty()
    folder.write_bytes("a/b.bin", b"123")
    folder.write_json("c.json", {"x": [1]})
    assert folder.walk() == ["a/b.bin", "c.json"]
    assert folder.names() == ["c.json"]
    assert folder.names(".bin") == []
    assert folder.read_bytes("a/b.bin") == b"123"
    assert folder.read_json("c.json") == {"x": [1]}
    assert (folder.size("a/b.bin"), folder.size("nope")) == (3, -1)
    assert folder.sha256("a/b.bin").startswith("a665a459")
    assert pickle.loads(pickle.dumps(folder)).read_bytes("a/b.bin") == b"123"
    folder.delete()
    assert not folder.exists()


def test_listing_a_folder_that_another_task_is_making(tmp_path):
    """Whenever it comes into being, it is missing or empty: hundreds of tries."""
    folders = [Folder.at(tmp_path / str(n)) for n in range(400)]
    go = Barrier(2)

    def make():
        for folder in folders:
            go.wait()
            os.mkdir(folder.location)

    maker = Thread(target=make, daemon=True)
    maker.start()
    for folder in folders:
        go.wait()
        while not os.path.isdir(folder.location):
            assert folder.names() == folder.walk() == []
    maker.join()


def test_a_failed_write_leaves_the_old_file(folder):
    folder.write_bytes("a", b"old")
    with pytest.raises(RuntimeError), folder.committing("a") as stream:
        stream.write(b"half of the ne")
        raise RuntimeError
    assert folder.read_bytes("a") == b"old"
    assert folder.walk() == ["a"]


def test_copying_to_another_folder(folder, tmp_path):
    folder.write_bytes("a", b"x" * 3_000_000)
    target = Folder.at(tmp_path / "t")
    folder.copy_file_to("a", target, "b")
    assert target.sha256("b") == folder.sha256("a")


def test_errors_say_where():
    with pytest.raises(StorageError, match="nowhere"):
        Folder.at("/nowhere/at/all").read_bytes("x")
    with pytest.raises(StorageError, match="location_not_opened"):
        Folder.at("gopher://host/x").exists()
    with pytest.raises(StorageError):
        Folder.at("")
    with pytest.raises(StorageError, match="Cannot create"):
        Folder.at("/proc/nope").create()
