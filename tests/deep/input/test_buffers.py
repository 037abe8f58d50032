"""Memory is used again when nobody holds it, and never before."""

from __future__ import annotations

import numpy as np

from sparkml_dist.deep.input.buffers import Buffers


def test_used_again_only_when_dropped():
    buffers = Buffers()
    first = buffers.empty((8, 3), np.float32)
    view = first[2:4]
    address = first.ctypes.data
    assert buffers.empty((8, 3), np.float32).ctypes.data != address
    del first
    assert buffers.empty((8, 3), np.float32).ctypes.data != address  # a view of it is held
    del view
    again = [buffers.empty((8, 3), np.float32) for _ in range(3)]
    assert address in {a.ctypes.data for a in again}
    assert len({a.ctypes.data for a in again}) == 3


def test_another_holder_without_a_view():
    buffers = Buffers()
    first = buffers.empty((64,), np.uint8)
    capsule = memoryview(first)
    address = first.ctypes.data
    del first
    assert buffers.empty((64,), np.uint8).ctypes.data != address
    del capsule


def test_aligned_and_of_any_shape():
    buffers = Buffers()
    for shape, dtype in (((5,), np.int32), ((3, 7), np.float16), ((), "f8")):
        array = buffers.empty(shape, dtype)
        assert (array.shape, array.dtype) == (shape, np.dtype(dtype))
        assert array.ctypes.data % 64 == 0
        assert array.flags.c_contiguous
        assert array.flags.writeable
