"""Embedding tables that are too large for one rank: each rank holds a part of the rows.

The names are imported on first use, since they import TensorFlow.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparkml_dist.deep.embedding.layer import ShardedEmbedding
    from sparkml_dist.deep.embedding.plain import with_plain_embeddings
    from sparkml_dist.deep.embedding.saving import save_model

_MODULES = {"ShardedEmbedding": "layer", "save_model": "saving", "with_plain_embeddings": "plain"}

__all__ = ["ShardedEmbedding", "save_model", "with_plain_embeddings"]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
