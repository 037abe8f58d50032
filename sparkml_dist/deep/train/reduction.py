"""Reduces the gradients of several ranks by the fastest transport between them."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sparkml_dist.deep.backend.with_horovod import hvd, tf
from sparkml_dist.deep.params.coupling_settings import CouplingSettings
from sparkml_dist.deep.train.shared_join import join
from sparkml_dist.deep.train.shared_mean import SharedMean

__all__ = [
    "Reduction",
    "make_reduction",
    "reduce_alone",
    "reduce_by_horovod",
    "reduce_in_memory",
    "shared_memory",
]

#: ``reduction(tensors, weight)`` takes tensors of weight times value, and returns their sums over
#: all ranks divided by the sum of the weights, and the mean weight of a rank; zeros if all weights
#: are 0. Collective: all ranks call it with tensors of the same shapes.
Reduction = Callable[[Sequence[Any], Any], tuple[list[Any], Any]]

_logger = logging.getLogger(__name__)


def make_reduction(settings: CouplingSettings, variables: Sequence[Any]) -> tuple[str, Reduction]:
    """Return the best reduction for the ranks' places, and its name; all ranks must call it.

    Parameters
    ----------
    settings : CouplingSettings
    variables : sequence of keras.Variable
        Variables whose gradients are reduced.

    Returns
    -------
    name : {"none", "memory", "horovod"}
    reduction : Reduction
    """
    if hvd.size() == 1:
        return "none", reduce_alone
    if settings.transport == "auto" and (memory := shared_memory(variables)) is not None:
        return "memory", reduce_in_memory(memory)
    return "horovod", reduce_by_horovod(settings.compression)


def reduce_alone(tensors: Sequence[Any], weight: Any) -> tuple[list[Any], Any]:
    """Reduce for a single rank."""
    scale = tf.math.divide_no_nan(tf.ones_like(weight), weight)
    return [_dense(t) * tf.cast(scale, t.dtype) for t in tensors], weight


def reduce_by_horovod(compression: str = "none") -> Reduction:
    """Return the reduction by a grouped allreduce.

    Parameters
    ----------
    compression : {"none", "fp16"}
        Whether tensors are sent in half precision. Scalars, such as the loss, never are.
    """

    def reduce(tensors: Sequence[Any], weight: Any) -> tuple[list[Any], Any]:
        # Dense tensors: Horovod would gather all rows of sparse gradients on every rank.
        dense = [_dense(t) for t in tensors]
        halves = [
            i
            for i, t in enumerate(dense)
            if compression == "fp16" and t.shape.rank and t.dtype in (tf.float32, tf.float64)
        ]
        exact = [i for i in range(len(dense)) if i not in set(halves)]
        means: dict[int, Any] = {}
        *found, total = _average([*(dense[i] for i in exact), weight], "gradients")
        means.update(zip(exact, found, strict=True))
        if halves:
            found = _average([tf.cast(dense[i], tf.float16) for i in halves], "half_gradients")
            for i, mean in zip(halves, found, strict=True):
                means[i] = tf.cast(mean, dense[i].dtype)
        scale = tf.math.divide_no_nan(tf.ones_like(total), total)
        return [means[i] * tf.cast(scale, means[i].dtype) for i in range(len(dense))], total

    return reduce


def reduce_in_memory(memory: SharedMean) -> Reduction:
    """Return the reduction in shared memory; for float32 only."""

    def reduce(tensors: Sequence[Any], weight: Any) -> tuple[list[Any], Any]:
        dense = [_dense(t) for t in tensors]

        def call(weight: Any, *arrays: Any) -> list[Any]:
            means, total = memory(arrays, float(weight))
            return [*means, total]

        *means, total = tf.numpy_function(
            call, [weight, *dense], [tf.float32] * (len(dense) + 1), name="gradients"
        )
        for mean, tensor in zip(means, dense, strict=True):
            mean.set_shape(tensor.shape)
        total.set_shape(())
        return means, total / hvd.size()

    return reduce


def _average(tensors: list[Any], name: str) -> list[Any]:
    by_type: dict[Any, list[int]] = {}
    for i, tensor in enumerate(tensors):
        by_type.setdefault(tensor.dtype, []).append(i)
    found: dict[int, Any] = {}
    for dtype, places in by_type.items():
        reduced = hvd.grouped_allreduce(
            [tensors[i] for i in places], op=hvd.Average, name=f"{name}_{dtype.name}"
        )
        found.update(zip(places, reduced, strict=True))
    return [found[i] for i in range(len(tensors))]


def _dense(tensor: Any) -> Any:
    return tf.convert_to_tensor(tensor)


def shared_memory(variables: Sequence[Any]) -> SharedMean | None:
    """Return memory shared by all ranks; None, on all of them, if they cannot share memory.

    Every rank must call it. They share memory if all are on one Linux host, none has a GPU, and all
    gradients are float32.

    Parameters
    ----------
    variables : sequence of keras.Variable
        Variables whose gradients are reduced.
    """
    fits = (
        sys.platform == "linux"
        and hvd.local_size() == hvd.size()
        and not tf.config.list_physical_devices("GPU")
        and all(tf.as_dtype(v.dtype) == tf.float32 for v in variables)
    )
    if not _all(fits, "shared_memory_fits"):
        return None

    def from_first(data: bytes) -> bytes:
        token = tf.constant(np.frombuffer(data, np.uint8))
        found: bytes = hvd.broadcast(token, 0, name="shared_memory_token").numpy().tobytes()
        return found

    memory: SharedMean | None = None
    try:
        memory = join(hvd.rank(), hvd.size(), from_first)
    except OSError as error:
        _logger.warning("no shared memory with the ranks of this host (%s): using Horovod", error)
    if not _all(memory is not None, "shared_memory_joined"):
        if memory is not None:
            memory.close()
        return None
    return memory


def _all(good: bool, name: str) -> bool:
    return bool(hvd.allreduce(tf.constant(int(good)), op=hvd.Min, name=name).numpy())
