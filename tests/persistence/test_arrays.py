"""Arrays at rest: what was written comes back, and nothing that was cut or altered does."""

from __future__ import annotations

import io
import tracemalloc

import numpy as np
import pytest

from sparkml_dist.errors import StorageError
from sparkml_dist.persistence.arrays import check_array, read_array, write_array
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
    with pytest.raises(StorageError, match="3 rows instead of 4") as caught:
        read_array(folder, "w.npy", rows=4)
    assert caught.value.code == "array_damaged"


@pytest.mark.parametrize(
    ("array", "below", "what"),
    [
        (np.zeros((2, 3)), None, "shape"),
        (np.zeros(4), None, "shape"),
        (np.zeros((4, 2), "S3"), None, "values of"),
        (np.zeros((4, 2)), 3, "values of"),
        (np.full((4, 2), 3), 3, "values from 3 to 3"),
        (np.full((4, 2), -1), 3, "values from -1"),
        (None, None, "is missing"),
    ],
)
def test_an_array_of_another_form_than_its_model_needs_is_named(array, below, what):
    arrays = {} if array is None else {"features": array}
    with pytest.raises(StorageError, match=f"array_damaged.*'features' .*{what}"):
        check_array(arrays, "features", (4, None), below=below)


def test_an_array_of_the_right_form_passes():
    check_array({"features": np.zeros((4, 2), np.int32)}, "features", (4, None), below=1)
    check_array({"features": np.zeros((0, 2), np.int32)}, "features", (None, 2), below=0)


@pytest.mark.parametrize(
    "shape", [(10**12,), (10**6, 10**7), (2**40, 2**40), (3,)], ids=["long", "wide", "huge", "cut"]
)
def test_an_array_that_declares_what_is_not_there_takes_no_memory(tmp_path, shape):
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        head, {"descr": "<f8", "fortran_order": False, "shape": shape}
    )
    folder = Folder.at(tmp_path)
    folder.write_bytes("a.npy", head.getvalue() + b"x" * 16)
    tracemalloc.start()
    with pytest.raises(StorageError, match=r"array_damaged.*declares"):
        read_array(folder, "a.npy")
    assert tracemalloc.get_traced_memory()[1] < 10e6
    tracemalloc.stop()
