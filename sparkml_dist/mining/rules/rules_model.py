"""The model of association rules, and recommendations for baskets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from pyspark.ml.param import TypeConverters
from pyspark.ml.param.shared import HasPredictionCol

from sparkml_dist.dataset.column_names import with_outputs
from sparkml_dist.dataset.many_columns import named_column
from sparkml_dist.dataset.streams import refuse_stream
from sparkml_dist.errors import ConfigurationError, DataError, nearest
from sparkml_dist.html.summary import Row
from sparkml_dist.mining.estimator import check_column, check_whole
from sparkml_dist.mining.rules.measures import MEASURES
from sparkml_dist.mining.support_score import JOINS_PATTERNS
from sparkml_dist.mining.table_model import TableModel
from sparkml_dist.mining.top_rows import listed, top_rows
from sparkml_dist.params import param
from sparkml_dist.report.plots.bars import plot_bars
from sparkml_dist.report.plots.figure import figure_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pyspark.sql import DataFrame

__all__ = ["AssociationRulesModel"]

_KEY = "_sparkml_dist_basket"


class AssociationRulesModel(TableModel, HasPredictionCol):
    """Association rules as a DataFrame, and a recommender of consequents.

    Attributes
    ----------
    rules : pyspark.sql.DataFrame
        One rule X → Y per row: ``antecedent`` and ``consequent`` (arrays), ``anchor`` (the
        antecedent's rarest item), the number of baskets that hold both (``count``), X
        (``antecedentCount``) and Y (``consequentCount``), the measures, and with the Params set
        ``pValue`` and ``adjustedPValue``.
    numBaskets : int
        Baskets that were mined.
    numCandidates : int
        Number of rules of the itemsets, of any confidence.
    """

    itemsCol: Any = param("itemsCol", "array column of the baskets' items", TypeConverters.toString)
    maxRecommendations: Any = param(
        "maxRecommendations", "most items recommended for a basket", TypeConverters.toInt
    )
    rankBy: Any = param("rankBy", "measure that orders recommendations", TypeConverters.toString)

    _table_names: ClassVar[tuple[str, ...]] = ("rules",)
    _defaults: ClassVar[dict[str, Any]] = {
        "itemsCol": "items",
        "predictionCol": "prediction",
        "rankBy": "confidence",
    }

    @property
    def rules(self) -> DataFrame:
        """The rules."""
        return self.tables["rules"]

    @property
    def numBaskets(self) -> int:
        """Baskets that were mined."""
        return int(self.content["numBaskets"])

    @property
    def numCandidates(self) -> int:
        """Number of rules of the itemsets, of any confidence."""
        return int(self.content["numCandidates"])

    def _top(self) -> Iterator[Row]:
        yield Row("by lift", shares=self._by_lift(10))

    def _by_lift(self, n: int) -> list[tuple[str, Any]]:
        return top_rows(self.rules, "lift", _rule, n=n, total=self.numCandidates)

    def plot(self) -> Figure:
        """Draw the lift of the 20 rules of the highest lift, which a Spark job reads.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ConfigurationError
            ``not_kept`` where there are no rules, or more than a million candidates.
        """
        values = dict(self._by_lift(20))
        if not values:
            raise ConfigurationError(
                "not_kept",
                f"There are no rules to draw, or too many: {self.numCandidates:,} candidates.",
                "Filter model.rules, which is a DataFrame.",
            )
        return figure_of(
            lambda folder: plot_bars(
                values, folder, "rules.png", title="Rules of the highest lift", x="lift"
            )
        )

    def unpersist(self) -> AssociationRulesModel:
        """Free Spark's storage of the rules; they are computed again when they are used."""
        self.rules.unpersist()
        return self

    def _transform(self, dataset: DataFrame) -> DataFrame:
        """Add recommended items to each basket.

        Parameters
        ----------
        dataset : pyspark.sql.DataFrame
            With an array column of items, itemsCol.

        Returns
        -------
        pyspark.sql.DataFrame
            With predictionCol, an array of the items that the basket lacks and that are in the
            consequent of a rule whose antecedent it holds: best first by the largest rankBy of such
            rules, ties by item. Empty for null baskets and where no rule applies.

        Raises
        ------
        ConfigurationError
            ``invalid_param``.
        DataError
            ``column_not_found``, ``column_type`` or ``stream_not_supported``.

        Notes
        -----
        A rule is joined only with baskets that hold its antecedent's rarest item, and the executors
        check the rest of the antecedent. Equal baskets are processed once.
        """
        from pyspark.sql import functions as F

        self._check_transform(dataset)
        refuse_stream(dataset, "The transform of rules", JOINS_PATTERNS)
        items = F.array_sort(
            F.array_distinct(F.array_compact(named_column(self._value(self.itemsCol))))
        )
        keyed = dataset.withColumn(_KEY, items)
        found = self._recommended(keyed.select(_KEY).distinct().where(F.size(_KEY) > 0))
        out = self._value(self.predictionCol)
        joined = keyed.join(found, on=_KEY, how="left")
        item_type = self.rules.schema["consequent"].dataType
        empty = F.array().cast(item_type)
        recommended = F.coalesce(F.col("_recommended"), empty)
        return with_outputs(joined, {out: recommended}, temporary=[_KEY, "_recommended"])

    def _recommended(self, baskets: DataFrame) -> DataFrame:
        from pyspark.sql import functions as F

        by_antecedent = (
            self.rules.select(
                "anchor",
                "antecedent",
                F.explode("consequent").alias("item"),
                F.col(self._value(self.rankBy)).alias("score"),
            )
            .groupBy("anchor", "antecedent", "item")
            .agg(F.max("score").alias("score"))
            .groupBy("anchor", "antecedent")
            .agg(F.collect_list(F.struct("item", "score")).alias("consequents"))
        )
        met = baskets.withColumn("anchor", F.explode(_KEY)).join(by_antecedent, on="anchor")
        held = met.where(F.size(F.array_except("antecedent", _KEY)) == 0)
        scored = (
            held.select(_KEY, F.explode("consequents").alias("c"))
            .where(~F.array_contains(_KEY, F.col("c.item")))
            .groupBy(_KEY, F.col("c.item").alias("item"))
            .agg(F.max("c.score").alias("score"))
        )
        ranked = F.array_sort(F.collect_list(F.struct((-F.col("score")).alias("s"), "item")))
        best = scored.groupBy(_KEY).agg(ranked.alias("ranked"))
        most = self._value(self.maxRecommendations)
        chosen = F.slice("ranked", 1, most) if most else F.col("ranked")
        return best.select(_KEY, chosen["item"].alias("_recommended"))

    def _check_transform(self, df: DataFrame) -> None:
        from pyspark.sql.types import ArrayType

        check_whole("maxRecommendations", self._value(self.maxRecommendations))
        if self._value(self.rankBy) not in MEASURES:
            raise ConfigurationError(
                "invalid_param",
                f"rankBy must be one of {', '.join(MEASURES)}. Got {self._value(self.rankBy)!r}."
                f"{nearest(self._value(self.rankBy), MEASURES)}",
            )
        name = self._value(self.itemsCol)
        kind = check_column(df, name, "baskets")
        wanted: Any = self.rules.schema["antecedent"].dataType
        if not isinstance(kind, ArrayType) or kind.elementType != wanted.elementType:
            raise DataError(
                "column_type",
                f"The column {name!r} must be {wanted.simpleString()}, as the rules are. "
                f"Got {kind.simpleString()}.",
                "Cast it, or set itemsCol to the column of baskets.",
            )


def _rule(row: Any) -> str:
    return f"{listed(row['antecedent'])} → {listed(row['consequent'])}"
