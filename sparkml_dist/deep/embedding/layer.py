"""A Keras embedding layer whose rows are distributed over the ranks."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from sparkml_dist.deep.backend.without_horovod import keras, tf
from sparkml_dist.deep.embedding.initial import initial_rows
from sparkml_dist.deep.embedding.lookup import sharded_lookup
from sparkml_dist.deep.embedding.marks import Shard, mark
from sparkml_dist.deep.embedding.place import Place, horovod, place_in_table
from sparkml_dist.errors import ConfigurationError, StorageError

__all__ = ["PLACEHOLDER", "ShardedEmbedding"]

#: Key in a saved file next to an empty table, with the layer's number, until the table is filled.
PLACEHOLDER = "sharded_table"

# Single precision cannot distinguish larger integers.
_EXACT_FLOAT32 = 1 << 24

_numbers = itertools.count()


@keras.saving.register_keras_serializable(package="sparkml_dist")
class ShardedEmbedding(keras.layers.Layer):
    """Embeds ids with a table whose rows are distributed over the ranks.

    Row ``i`` is on rank ``i % ranks``, so that frequent small ids are spread over the ranks. In a
    step, each rank requests the distinct ids of its batch from their owners and sends their
    gradients back, both by all-to-all; the owner of a row adds its gradients from all ranks and
    alone holds the optimizer's state for it. The rest of the network is data-parallel. Outside a
    training with several ranks the layer is a plain embedding with the whole table.

    Parameters
    ----------
    input_dim : int
        Rows of the table: ids are 0 to ``input_dim - 1``.
    output_dim : int
        Width of a row.
    embeddings_initializer : str or keras.Initializer, default="uniform"
        See `sparkml_dist.deep.embedding.initial`. The initial table depends on the seed only, not
        on the number of ranks.
    mask_zero : bool, default=False
        Whether id 0 is padding.
    ranks_per_table : int, optional
        Number of ranks that share one copy of the table; must divide the number of ranks. By
        default all ranks share one copy. With fewer, ``ranks // ranks_per_table`` groups hold a
        copy each, gradients are averaged over the groups, and rows are exchanged within a group.
    **kwargs
        Of `keras.layers.Layer`.

    Raises
    ------
    ConfigurationError
        ``embedding_initializer``, ``invalid_param``, or ``ids_not_exact`` for float32 ids beyond
        2^24.

    Notes
    -----
    An id outside the table stops the step with ``InvalidArgumentError``, with the layer and the
    ids. A model with such layers is saved by `sparkml_dist.deep.embedding.save_model`, on all ranks
    at the same time; one process can load the file with ``keras.saving.load_model`` once this class
    is imported.

    References
    ----------
    Naumov et al. (2019), "Deep Learning Recommendation Model for Personalization and
    Recommendation Systems", arXiv:1906.00091.

    Examples
    --------
    >>> def builder(input_shape, n_classes):
    ...     ids = keras.Input(input_shape)
    ...     x = ShardedEmbedding(10_000_000, 64)(ids)
    ...     x = keras.layers.GlobalAveragePooling1D()(x)
    ...     model = keras.Model(ids, keras.layers.Dense(n_classes, activation="softmax")(x))
    ...     model.compile("adam", "sparse_categorical_crossentropy")
    ...     return model
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        *,
        embeddings_initializer: Any = "uniform",
        mask_zero: bool = False,
        ranks_per_table: int | None = None,
        **kwargs: Any,
    ) -> None:
        for name, value in (
            ("input_dim", input_dim),
            ("output_dim", output_dim),
            ("ranks_per_table", 1 if ranks_per_table is None else ranks_per_table),
        ):
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ConfigurationError(
                    "invalid_param", f"{name} must be an int >= 1. Got {value!r}."
                )
        super().__init__(**kwargs)
        self.input_dim = input_dim
        self.output_dim = output_dim
        self.embeddings_initializer = keras.initializers.get(embeddings_initializer)
        self.mask_zero = mask_zero
        self.supports_masking = mask_zero
        self.ranks_per_table = ranks_per_table
        # Rows stay in full precision; the output is cast.
        self.autocast = False
        self.place: Place | None = None
        self._key = ""
        self.placeholder: int | None = None
        self.built: bool = False

    def build(self, input_shape: Any = None) -> None:
        """Create this rank's rows."""
        if self.built:
            return
        self.place = place_in_table(self.ranks_per_table, self.name)
        shard = Shard(self.input_dim, 0, 1)
        if self.place is not None:
            shard = Shard(self.input_dim, self.place.index, self.place.owners, self.place.replica)
        seed = self._agreed_seed()
        self.embeddings = self.add_weight(
            name="embeddings",
            shape=(len(shard), self.output_dim),
            initializer=lambda _, dtype: tf.convert_to_tensor(
                initial_rows(self.embeddings_initializer, shard, self.output_dim, seed), dtype
            ),
            trainable=True,
        )
        if self.place is not None:
            mark(self.embeddings, shard)
            # Ranks build the same tables in the same order; Keras' names may differ.
            self._key = f"sharded_embedding{next(_numbers)}"
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Return the rows of ids, of shape ``(*inputs.shape, output_dim)``."""
        ids = self._checked(inputs)
        flat = tf.reshape(ids, [-1])
        if self.place is None:
            rows = tf.gather(self.embeddings.value, flat)
        else:
            rows = sharded_lookup(self.embeddings.value, flat, self.place, self._key)
        rows = tf.reshape(rows, tf.concat([tf.shape(ids), [self.output_dim]], axis=0))
        return tf.cast(tf.ensure_shape(rows, (*ids.shape, self.output_dim)), self.compute_dtype)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return the mask of ids that are not padding."""
        return keras.ops.not_equal(inputs, 0) if self.mask_zero else None

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """Return the output shape for ids of a shape."""
        return (*input_shape, self.output_dim)

    def compute_output_spec(self, inputs: Any, *_: Any, **__: Any) -> Any:
        """Return the output's shape and type without a call, which would communicate."""
        self._check_exact(inputs.dtype)
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the layer."""
        return {
            **super().get_config(),
            "input_dim": self.input_dim,
            "output_dim": self.output_dim,
            "embeddings_initializer": keras.initializers.serialize(self.embeddings_initializer),
            "mask_zero": self.mask_zero,
            "ranks_per_table": self.ranks_per_table,
        }

    def save_own_variables(self, store: Any) -> None:
        """Write the table, or an empty one for `save_model` to fill if it is distributed.

        Raises
        ------
        StorageError
            ``sharded_table`` when a rank saves its part alone.
        """
        if not self.built:
            return
        if self.place is None:
            store["0"] = self.embeddings.numpy()
            return
        if self.placeholder is None:
            raise StorageError(
                "sharded_table",
                f"The table of the layer {self.name!r} is distributed over "
                f"{self.place.owners} ranks, and this rank has only a part.",
                "Save with sparkml_dist.deep.embedding.save_model on all ranks.",
            )
        store["0"] = np.zeros((0, self.output_dim), self.embeddings.dtype)
        store[PLACEHOLDER] = np.int64(self.placeholder)

    def load_own_variables(self, store: Any) -> None:
        """Load the table, or this rank's rows of it, from a saved file."""
        if not self.built:
            return
        table = store["0"]
        if table.shape != (self.input_dim, self.output_dim):
            raise ValueError(
                f"The layer {self.name!r} has a table of {self.input_dim} x {self.output_dim}; "
                f"the file has one of {' x '.join(map(str, table.shape))}."
            )
        if self.place is not None:
            table = table[self.place.index :: self.place.owners]
        self.embeddings.assign(table)

    def _checked(self, inputs: Any) -> Any:
        self._check_exact(keras.backend.standardize_dtype(inputs.dtype))
        ids = tf.cast(inputs, tf.int64)
        outside = tf.boolean_mask(ids, (ids < 0) | (ids >= self.input_dim))
        text = f"The layer {self.name} takes ids from 0 to {self.input_dim - 1}. Got: "
        # One text without quotes: eager and graph execution print values and quotes differently.
        check = tf.debugging.Assert(
            tf.equal(tf.size(outside), 0), [tf.strings.format(text + "{}", [outside])]
        )
        with tf.control_dependencies([check] if check is not None else []):
            return tf.identity(ids)

    def _check_exact(self, dtype: str) -> None:
        if "float" in dtype and self.input_dim > _EXACT_FLOAT32 and dtype != "float64":
            raise ConfigurationError(
                "ids_not_exact",
                f"The layer {self.name!r} has {self.input_dim} rows, but ids are {dtype}, "
                f"which represents integers only up to {_EXACT_FLOAT32}.",
                "Feed the ids as integers, or hash them into fewer rows.",
            )

    def _agreed_seed(self) -> int:
        seed = getattr(self.embeddings_initializer, "seed", None)
        own = int(seed) if isinstance(seed, int) else 0
        hvd = horovod()
        if hvd is None:
            return own
        # Ranks may draw different seeds: use rank 0's.
        return int(hvd.broadcast(tf.constant(own, tf.int64), root_rank=0).numpy())
