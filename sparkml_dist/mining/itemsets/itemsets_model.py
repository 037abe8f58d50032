"""The model of frequent itemsets: a table, and facts about it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pyspark.ml.param import TypeConverters
from pyspark.ml.param.shared import HasPredictionCol

from sparkml_dist.dataset.many_columns import named_column
from sparkml_dist.errors import DataError
from sparkml_dist.html.summary import Row
from sparkml_dist.mining.estimator import check_column
from sparkml_dist.mining.support_score import with_support_score
from sparkml_dist.mining.table_model import TableModel
from sparkml_dist.mining.top_rows import listed, top_rows
from sparkml_dist.models.loading import Saved
from sparkml_dist.params import param
from sparkml_dist.report.plots.bars import plot_bars
from sparkml_dist.report.plots.figure import figure_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pyspark.sql import DataFrame

__all__ = ["FrequentItemsetsModel"]


class FrequentItemsetsModel(TableModel, HasPredictionCol):
    """The itemsets that `FrequentItemsets` found.

    Attributes
    ----------
    itemsets : pyspark.sql.DataFrame
        ``items`` (array, sorted), ``count`` (long: baskets that hold them), ``support`` (double:
        their share); computed by the executors when it is read.
    numBaskets : int
        Baskets that were mined.
    numItemsets : int
    sizes : dict of int to int
        Number of itemsets by number of items.
    minCount : int
        Least count of the itemsets.
    itemType : str
        Spark's name of the items' type.
    summary : dict
        Facts about the fit, such as seconds and estimates.
    """

    itemsCol: Any = param("itemsCol", "array column of the baskets' items", TypeConverters.toString)

    _table_names: ClassVar[tuple[str, ...]] = ("itemsets",)
    _defaults: ClassVar[dict[str, Any]] = {"itemsCol": "items", "predictionCol": "prediction"}

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

    def _top(self) -> Iterator[Row]:
        sizes = [(f"of {size}", number) for size, number in sorted(self.sizes.items())]
        most = max((number for _, number in sizes), default=0)
        yield Row("itemsets", f"{self.numItemsets:,}", f"(at most {most:,} of one size)")
        rows = top_rows(
            self.itemsets.where("size(items) > 1"),
            "count",
            lambda row: listed(row["items"]),
            total=self.numItemsets,
        )
        yield Row("most frequent", quiet="of two and more items", shares=rows)

    def plot(self) -> Figure:
        """Draw the number of itemsets by their number of items; no Spark job is run.

        Returns
        -------
        matplotlib.figure.Figure
        """
        values = {f"{size}": float(number) for size, number in sorted(self.sizes.items())}
        return figure_of(
            lambda folder: plot_bars(
                values, folder, "sizes.png", title="Itemsets by size", x="itemsets", y="items"
            )
        )

    def unpersist(self) -> FrequentItemsetsModel:
        """Free Spark's storage of the fit; `itemsets` is computed again when it is read."""
        if self._stored is not None:
            self._stored.unpersist()
        return self

    def _transform(self, dataset: DataFrame) -> DataFrame:
        """Add the share of the itemsets' support that each basket holds: low for unusual ones.

        Parameters
        ----------
        dataset : pyspark.sql.DataFrame
            With an array column of items, itemsCol.

        Returns
        -------
        pyspark.sql.DataFrame
            With predictionCol, a double: the support of the itemsets that the basket holds, over
            the number of all itemsets (He, Xu, Huang and Deng 2005).

        Raises
        ------
        DataError
            ``column_not_found``, ``column_type`` or ``stream_not_supported``.
        """
        from pyspark.sql import functions as F
        from pyspark.sql.types import ArrayType

        name = self.getOrDefault(self.itemsCol)
        kind = check_column(dataset, name, "itemsCol")
        if not isinstance(kind, ArrayType):
            raise DataError(
                "column_type",
                f"The column {name!r} must be an array of items. Got {kind.simpleString()}.",
                "Collect the items of each basket into an array.",
            )
        basket = F.array_sort(F.array_distinct(F.array_compact(named_column(name))))
        return with_support_score(
            dataset,
            basket.cast(self.itemsets.schema["items"].dataType),
            lambda row: row,
            self.itemsets.select(
                F.col("items").alias("pattern"), F.col("items")[0].alias("anchor"), "support"
            ),
            self.numItemsets,
            lambda row, pattern: F.size(F.array_except(pattern, row)) == 0,
            self.getOrDefault(self.predictionCol),
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
