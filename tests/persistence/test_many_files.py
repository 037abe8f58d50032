"""Many files of a store that is no local disk are read side by side, in their order."""

from __future__ import annotations

import hashlib
import threading
from contextlib import closing

import pytest
from pyarrow import fs as pafs

from sparkml_dist.errors import StorageError
from sparkml_dist.persistence.filesystem import Folder

NAMES = [f"{i:03d}.txt" for i in range(40)]


@pytest.fixture(params=["local", "store"])
def folder(request, tmp_path):
    found = Folder.at(tmp_path)
    if request.param == "store":
        below = pafs.SubTreeFileSystem(str(tmp_path), pafs.LocalFileSystem())
        vars(found)["_root"] = (below, "")
    for name in NAMES:
        (tmp_path / name).write_text(name)
    return found


def test_contents_come_in_order(folder):
    assert list(folder.read_each(NAMES)) == [name.encode() for name in NAMES]
    assert list(folder.read_each([])) == []
    with pytest.raises(StorageError, match="file_not_found"):
        list(folder.read_each([NAMES[0], "none", NAMES[1]]))


def test_checksums(folder):
    sizes = {**dict.fromkeys(NAMES, 7), "none": 7, NAMES[3]: 8}
    found = {name: (size, digest) for name, size, digest in folder.checksums(sizes)}
    assert [*found] == [*sizes]
    assert found.pop("none") == (-1, "")
    assert found.pop(NAMES[3]) == (7, "")
    assert found == {n: (7, hashlib.sha256(n.encode()).hexdigest()) for n in found}


def test_who_stops_early_leaves_no_threads(folder):
    before = threading.active_count()
    with closing(folder.read_each(NAMES)) as contents:
        assert next(contents) == NAMES[0].encode()
    assert threading.active_count() == before
