"""Hands arrays over to TensorFlow without a copy."""

from __future__ import annotations

from typing import Any

import numpy as np

from sparkml_dist.deep.backend.with_horovod import tf

__all__ = ["as_tensor"]

# TensorFlow's kernels take this for granted and end the process where it does not hold.
_ALIGNMENT = 64


def as_tensor(array: Any) -> Any:
    """Return a tensor of an array; it shares the memory of one that lies as TensorFlow wants it.

    `tf.convert_to_tensor` copies, which takes as long as gathering the batch did, and
    `tf.data.Dataset.from_generator` copies twice.

    Parameters
    ----------
    array : ndarray, tensor or scalar
        An array must not be written to afterwards, as those of `Batch` are not.

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
