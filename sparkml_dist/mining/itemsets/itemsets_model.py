"""Mined itemsets: a table, what is known about it, and how it is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.mining.table_model import TableModel
from sparkml_dist.models.persistable import Saved

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["FrequentItemsetsModel"]


class FrequentItemsetsModel(TableModel):
    """The itemsets that `FrequentItemsets` found.

    Attributes
    ----------
    itemsets : pyspark.sql.DataFrame
        ``items`` (array, sorted), ``count`` (long: baskets that hold them), ``support`` (double:
        their share); made by executors when it is read.
    numBaskets : int
        Baskets that were mined.
    numItemsets : int
    sizes : dict of int to int
        Number of itemsets by number of items.
    minCount : int
        Baskets that hold every itemset, at least.
    itemType : str
        Spark's name of the items' type.
    summary : dict
        How the fit went.
    """

    _table_names: ClassVar[tuple[str, ...]] = ("itemsets",)

    def __init__(
        self,
        itemsets: DataFrame,
        *,
        numBaskets: int,
        minCount: int,
        sizes: dict[int, int],
        itemType: str,
        summary: dict[str, Any],
        stored: DataFrame | None = None,
    ) -> None:
        content = {
            "numBaskets": numBaskets,
            "minCount": minCount,
            "sizes": {str(size): number for size, number in sizes.items()},
            "itemType": itemType,
            "summary": summary,
        }
        super().__init__(tables={"itemsets": itemsets}, content=content)
        self.itemsets = itemsets
        self.numBaskets = numBaskets
        self.minCount = minCount
        self.sizes = sizes
        self.itemType = itemType
        self.summary = summary
        self._stored = stored

    @property
    def numItemsets(self) -> int:
        """Number of itemsets."""
        return sum(self.sizes.values())

    def unpersist(self) -> FrequentItemsetsModel:
        """Free what the fit keeps in Spark's storage; `itemsets` is mined again when it is read."""
        if self._stored is not None:
            self._stored.unpersist()
        return self

    def _transform(self, dataset: DataFrame) -> DataFrame:
        raise ConfigurationError(
            "no_transform",
            "Itemsets alone predict nothing about a basket.",
            "Fit AssociationRules on the itemsets and transform with its model.",
        )

    def copy(self, extra: Any = None) -> Self:
        """Return a copy that shares the itemsets."""
        return super(TableModel, self).copy(extra)

    @classmethod
    def _restore(cls, saved: Saved) -> Self:
        content = saved.state["content"]
        return cls(
            cls._read_tables(saved)["itemsets"],
            numBaskets=int(content["numBaskets"]),
            minCount=int(content["minCount"]),
            sizes={int(size): int(number) for size, number in content["sizes"].items()},
            itemType=str(content["itemType"]),
            summary=dict(content["summary"]),
        )

    def __repr__(self) -> str:
        return (
            f"FrequentItemsetsModel({self.numItemsets:,} itemsets in at least {self.minCount:,} of "
            f"{self.numBaskets:,} baskets)"
        )
