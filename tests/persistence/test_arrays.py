"""Arrays at rest: what was written comes back, and nothing that was cut or altered does."""

from __future__ import annotations

import numpy as np
import pytest

from sparkml_dist.errors import StorageError
from sparkml_dist.persistence.arrays import read_array, write_array
from sparkml_dist.persistence.filesystem import Folder


@pytest.mark.parametrize("array", [np.arange(6.0).reshape(3, 2), np.zeros((0, 4), np.float32)])
def test_the_same_comes_back(tmp_path, array):
    folder = Folder.at(tmp_path)
    write_array(folder, "w.npy", array)
    found = read_array(folder, "w.npy", rows=len(array))
    assert found.dtype == array.dtype and np.array_equal(found, array)


def test_a_damaged_file_is_named(tmp_path):
    folder = Folder.at(tmp_path)
    write_array(folder, "w.npy", np.arange(100.0))
    whole = (tmp_path / "w.npy").read_bytes()
    for content in (b"", b"not an array", whole[:-9], whole[:20]):
        (tmp_path / "w.npy").write_bytes(content)
        with pytest.raises(StorageError, match=r"w\.npy") as caught:
            read_array(folder, "w.npy")
        assert caught.value.code == "array_damaged"


def test_objects_are_not_unpickled(tmp_path):
    np.save(tmp_path / "w.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(StorageError, match="array_damaged"):
        read_array(Folder.at(tmp_path), "w.npy")


def test_another_number_of_rows_is_refused(tmp_path):
    folder = Folder.at(tmp_path)
    write_array(folder, "w.npy", np.arange(3.0))
    with pytest.raises(StorageError, match="3 rows where 4 belong") as caught:
        read_array(folder, "w.npy", rows=4)
    assert caught.value.code == "array_damaged"
