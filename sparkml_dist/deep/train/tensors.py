"""Converts arrays to tensors without a copy."""

from __future__ import annotations

from typing import Any

import numpy as np

from sparkml_dist.deep.backend.with_horovod import tf

__all__ = ["as_tensor"]

# TensorFlow's kernels require this alignment, and crash the process without it.
_ALIGNMENT = 64


def as_tensor(array: Any) -> Any:
    """Return a tensor of an array; shares the memory of an array with a suitable layout.

    `tf.convert_to_tensor` copies, which takes as long as assembling the batch;
    `tf.data.Dataset.from_generator` copies twice.

    Parameters
    ----------
    array : ndarray, tensor or scalar
        An array must not be written to afterwards; those of `Batch` are not.

    Returns
    -------
    tensor
    """
    if (
        isinstance(array, np.ndarray)
        and array.nbytes
        and array.ctypes.data % _ALIGNMENT == 0
        and array.flags.c_contiguous
        and array.flags.writeable
        and array.dtype.kind in "fiu"
    ):
        return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
    return tf.convert_to_tensor(array)
