"""Replaces sharded embeddings by Keras' own."""

from __future__ import annotations

from typing import Any

from sparkml_dist.deep.backend.without_horovod import keras
from sparkml_dist.deep.embedding.layer import ShardedEmbedding
from sparkml_dist.errors import ConfigurationError

__all__ = ["with_plain_embeddings"]


def with_plain_embeddings(model: Any) -> Any:
    """Return a model with equal predictions that does not need this package.

    Parameters
    ----------
    model : keras.Model
        Loaded in one process. Without a `ShardedEmbedding` it is returned unchanged.

    Returns
    -------
    keras.Model
        Not compiled, with weights of its own.

    Raises
    ------
    ConfigurationError
        ``not_functional`` for a subclassed model with such layers, which Keras cannot clone.
    """
    if not any(isinstance(layer, ShardedEmbedding) for layer in model._flatten_layers()):
        return model
    # keras.Model(inputs, outputs) is a Functional, which has no public name.
    if type(model).__name__ not in ("Functional", "Sequential"):
        raise ConfigurationError(
            "not_functional",
            f"The layers of {type(model).__name__}, a subclass of keras.Model, cannot be replaced.",
            "Define the network with keras.Sequential or keras.Model(inputs, outputs).",
        )
    plain = keras.models.clone_model(model, clone_function=_plain, recursive=True)
    plain.set_weights(model.get_weights())
    return plain


def _plain(layer: Any) -> Any:
    if not isinstance(layer, ShardedEmbedding):
        return layer.__class__.from_config(layer.get_config())
    config = layer.get_config()
    del config["ranks_per_table"]
    return keras.layers.Embedding(**config)
