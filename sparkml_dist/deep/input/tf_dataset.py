"""Returns shards as a `tf.data.Dataset`, to train networks in one process."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.deep.input.inputs import InputSpec
from sparkml_dist.deep.input.plan import default_lanes, plan_epoch
from sparkml_dist.deep.input.rank_input import rank_stream
from sparkml_dist.deep.input.rows import TrainingRows
from sparkml_dist.errors import ConfigurationError

__all__ = ["as_tf_dataset"]


def as_tf_dataset(
    data: PartitionedDataset,
    batch_size: int,
    *,
    inputs: Mapping[str, Any] | None = None,
    input_shape: Sequence[int] | None = None,
    seed: int = 0,
) -> Any:
    """Return the rows of a partitioned data set in shuffled batches, for ``model.fit``.

    Each iteration is another epoch, in another order, with every row exactly once. Memory does not
    grow with the data. Imports TensorFlow into this process.

    Parameters
    ----------
    data : PartitionedDataset
    batch_size : int
        Rows of a batch; the last one of an epoch may be smaller.
    inputs, input_shape : optional
        As in `InputSpec.build`.
    seed : int, default=0
        Seed of the order of rows.

    Returns
    -------
    tf.data.Dataset
        Of (x, y, weight): the network's input (a tensor of shape (n, *input_shape), or a dict of
        such tensors by name), class codes (int32) or targets (float64), and row weights (float32).

    Raises
    ------
    ConfigurationError
        ``invalid_param``, or as `InputSpec.build`.
    DataError
        ``input_missing`` or ``column_not_found``.

    Examples
    --------
    >>> network.fit(as_tf_dataset(data, 256), epochs=5)  # doctest: +SKIP
    """
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise ConfigurationError(
            "invalid_param", f"batch_size must be an int >= 1. Got {batch_size!r}."
        )
    spec = InputSpec.build(data.schema, inputs, input_shape)
    spec.check(data.manifest)

    import tensorflow as tf

    rows = TrainingRows(data)
    groups = [shard.row_groups for shard in data.shards]
    lanes = default_lanes(1, batch_size)
    epochs = itertools.count()

    def batches() -> Iterator[Any]:
        plan = plan_epoch(groups, lanes=lanes, batch_size=batch_size, seed=seed, epoch=next(epochs))
        with rank_stream(rows, spec, plan, 0, 1) as stream:
            for batch in stream:
                n = batch.rows
                x = batch.x
                own = {k: v[:n] for k, v in x.items()} if isinstance(x, dict) else x[:n]
                yield own, batch.y[:n], batch.weight[:n]

    def tensors(dtype: str, shape: Sequence[int]) -> Any:
        return tf.TensorSpec((None, *shape), dtype)

    of_parts = {part.name: tensors(part.dtype, part.shape) for part in spec.parts}
    of_x = of_parts[spec.parts[0].name] if spec.is_single else of_parts
    label = "int32" if data.classes is not None else "float64"
    dataset = tf.data.Dataset.from_generator(
        batches, output_signature=(of_x, tensors(label, ()), tensors("float32", ()))
    )
    steps = -(-data.n_rows // batch_size)
    return dataset.apply(tf.data.experimental.assert_cardinality(steps)).prefetch(2)
