"""Runs a loaded network over rows of features, in batches of a fixed size; on workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.deep.input.inputs import InputSpec

__all__ = ["batch_rows", "forward"]

_BATCH_ROWS = 2048
_BATCH_BYTES = 16 << 20


def batch_rows(inputs: InputSpec) -> int:
    """Return the number of rows in a batch of a network."""
    return max(1, min(_BATCH_ROWS, _BATCH_BYTES // max(1, inputs.row_bytes)))


def forward(
    network: Any, inputs: InputSpec
) -> Callable[[Any], Iterator[tuple[slice, list[npt.NDArray[Any]]]]]:
    """Return a function that yields, batch by batch, rows and outputs of the network.

    Parameters
    ----------
    network : keras.Model
    inputs : InputSpec
        Conversion of features to its inputs.

    Returns
    -------
    callable
        Takes features (n, d), dense or CSR; yields the slice of each batch and the list of the
        network's outputs for it, in the order of ``tf.nest.flatten``.
    """
    import tensorflow as tf

    size = batch_rows(inputs)
    single = inputs.is_single

    def spec(part: Any) -> Any:
        return tf.TensorSpec((size, *part.shape), part.dtype)

    signature = (
        spec(inputs.parts[0]) if single else {part.name: spec(part) for part in inputs.parts}
    )
    run = tf.function(
        lambda x: network(x, training=False), input_signature=[signature], jit_compile=False
    )

    def outputs(X: Any) -> Iterator[tuple[slice, list[npt.NDArray[Any]]]]:
        for start in range(0, X.shape[0], size):
            part = X[start : start + size]
            dense = part if isinstance(part, np.ndarray) else part.toarray()
            rows = len(dense)
            taken = inputs.take(np.ascontiguousarray(dense, np.float32))
            filled = tf.nest.map_structure(lambda a: tf.convert_to_tensor(_filled(a, size)), taken)
            found = tf.nest.flatten(run(filled))
            yield slice(start, start + rows), [o.numpy()[:rows] for o in found]

    return outputs


def _filled(array: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    """Return an array padded with rows of zeros, so that all batches have one shape."""
    short = size - len(array)
    if not short:
        return array
    return np.concatenate([array, np.zeros((short, *array.shape[1:]), array.dtype)])
