"""Atomic commits at paths and URIs."""

from __future__ import annotations

import contextlib
import os
import pickle
import resource
import signal
from threading import Barrier, Thread

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
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


EVERY_METHOD = {
    "exists": (),
    "info": ("a",),
    "size": ("a",),
    "create": (),
    "names": (),
    "walk": (),
    "is_empty": (),
    "read_bytes": ("a",),
    "read_json": ("a",),
    "write_bytes": ("a", b"x"),
    "write_json": ("a", 1),
    "move": ("a", "b"),
    "delete": (),
    "delete_file": ("a",),
    "sha256": ("a",),
    "copy_file_to": ("a", Folder("/tmp")),
}


@pytest.mark.parametrize("name", ["n" * 300, "null\0", "half\udc80"])
@pytest.mark.parametrize("method", EVERY_METHOD)
def test_names_that_no_disk_has(tmp_path, method, name):
    folder = Folder(f"{tmp_path}/{name}")
    with pytest.raises(StorageError) as caught:
        getattr(folder, method)(*EVERY_METHOD[method])
    assert caught.value.hint
    assert caught.value.code == ("name_too_long" if name.startswith("n" * 9) else "storage_failed")


def test_a_path_through_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    folder = Folder.at(tmp_path / "file" / "x")
    assert folder.names() == folder.walk() == []
    assert folder.is_empty() and not folder.exists()
    folder.delete_file("a")
    folder.delete()
    told = {}
    for method in ("create", "read_bytes", "write_bytes", "move", "sha256", "copy_file_to"):
        with pytest.raises(StorageError) as caught:
            getattr(folder, method)(*EVERY_METHOD[method])
        told[method] = caught.value.code
    assert set(told.values()) == {"not_a_folder"}, told


def test_what_is_not_there(folder, tmp_path):
    for work in (
        lambda: folder.read_bytes("a"),
        lambda: folder.sha256("a"),
        lambda: folder.copy_file_to("a", Folder.at(tmp_path / "t")),
    ):
        with pytest.raises(StorageError, match="file_not_found"):
            work()
    assert not (tmp_path / "t" / "a").exists()
    with pytest.raises(StorageError, match="Cannot commit"):
        folder.move("a", "b")
    folder.delete_file("a")


def test_a_relative_path_in_a_folder_that_was_deleted(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(StorageError, match="no_current_folder"):
        Folder.at("out")


def test_opening_what_is_not_there_or_no_parquet(folder):
    folder.write_bytes("a", b"no Parquet")
    for name in ("a", "b"):
        with (
            pytest.raises(StorageError, match=f"Cannot read .*{name}"),
            folder.opened(name) as file,
        ):
            pq.ParquetFile(file)


def test_a_folder_where_a_file_should_be(folder):
    folder.child("a").create()
    for work in (lambda: folder.write_bytes("a", b""), lambda: folder.delete_file("a")):
        with pytest.raises(StorageError, match="not_a_file"):
            work()
    assert folder.walk() == []


@contextlib.contextmanager
def full():
    """A disk on which files end after 1,000 bytes, until pytest writes to its own."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.SIGXFSZ
    ignored = signal.signal(handler, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(handler, ignored)


def as_parquet(folder):
    with folder.committing("a") as stream:
        pq.write_table(pa.table({"x": np.random.default_rng(0).random(9000)}), stream)


def as_arrays(folder):
    with folder.committing("a") as stream:
        np.savez(stream, x=np.zeros(9000))


def in_pieces(folder):
    with folder.committing("a") as stream:
        for _ in range(100):
            stream.write(b"x" * 99)


def copied(folder):
    folder.child("source").copy_file_to("big", folder, "a")


@pytest.mark.parametrize("write", [as_parquet, as_arrays, in_pieces, copied])
def test_a_full_disk(folder, write):
    folder.child("source").write_bytes("big", b"x" * 5_000_000)
    folder.write_bytes("a", b"old")
    with pytest.raises(StorageError, match=r"Cannot write '.*/a'") as caught, full():
        write(folder)
    assert (caught.value.code, caught.value.exit_status) == ("disk_full", 14)
    assert folder.walk() == ["a", "source/big"]
    assert folder.read_bytes("a") == b"old"
