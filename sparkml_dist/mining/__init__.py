"""Data mining: patterns in data larger than any one memory."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparkml_dist.mining.itemsets.baskets import read_baskets
    from sparkml_dist.mining.itemsets.frequent_itemsets import FrequentItemsets
    from sparkml_dist.mining.itemsets.itemsets_model import FrequentItemsetsModel

_HOMES = {
    "FrequentItemsets": "itemsets.frequent_itemsets",
    "FrequentItemsetsModel": "itemsets.itemsets_model",
    "read_baskets": "itemsets.baskets",
}

__all__ = ["FrequentItemsets", "FrequentItemsetsModel", "read_baskets"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(import_module(f"sparkml_dist.mining.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'sparkml_dist.mining' has no attribute {name!r}")
