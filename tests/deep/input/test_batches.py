"""The memory of batches, as TensorFlow takes it over without a copy."""

from __future__ import annotations

import numpy as np

from sparkml_dist.deep.input.batches import aligned_empty


def test_aligned_and_of_any_shape():
    held = []
    for shape, dtype in (((5,), np.int32), ((3, 7), np.float16), ((), "f8"), ((64,), np.uint8)):
        array = aligned_empty(shape, dtype)
        assert (array.shape, array.dtype) == (shape, np.dtype(dtype))
        assert array.ctypes.data % 64 == 0
        assert array.flags.c_contiguous
        assert array.flags.writeable
        held.append(array)
    assert len({a.ctypes.data for a in held}) == len(held)
