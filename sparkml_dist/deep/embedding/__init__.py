"""Embedding tables that are too large for one rank: each rank holds some of the rows.

The names are imported when they are first used, since they bring TensorFlow in.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparkml_dist.deep.embedding.layer import ShardedEmbedding
    from sparkml_dist.deep.embedding.plain import with_plain_embeddings
    from sparkml_dist.deep.embedding.saving import save_model

_HOMES = {"ShardedEmbedding": "layer", "save_model": "saving", "with_plain_embeddings": "plain"}

__all__ = ["ShardedEmbedding", "save_model", "with_plain_embeddings"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
