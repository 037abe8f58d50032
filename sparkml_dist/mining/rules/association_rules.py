"""Association rules with consequents of any size."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any

from pyspark.ml.param import TypeConverters
from pyspark.ml.param.shared import HasPredictionCol

from sparkml_dist.cluster.workers import check_workers
from sparkml_dist.errors import ConfigurationError, DataError, nearest
from sparkml_dist.mining.estimator import (
    MiningEstimator,
    check_column,
    check_fraction,
    check_whole,
)
from sparkml_dist.mining.rules.filters import check_filters, filter_column
from sparkml_dist.mining.rules.itemset_family import (
    ItemsetFamily,
    hashed_itemsets,
    itemset_shares,
)
from sparkml_dist.mining.rules.measures import MEASURES
from sparkml_dist.mining.rules.multiple_testing import CORRECTIONS, adjusted
from sparkml_dist.mining.rules.rule_rows import RulePlan, rule_schema
from sparkml_dist.mining.rules.rules_model import AssociationRulesModel
from sparkml_dist.params import constructor, param
from sparkml_dist.session import SessionInfo
from sparkml_dist.sizes import parse_size

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["AssociationRules"]

_logger = logging.getLogger(__name__)

_HYPOTHESES = ("candidates", "rules")
_RULES_PER_TASK = 50_000


class AssociationRules(MiningEstimator, HasPredictionCol):
    """Association rules X → Y of frequent itemsets, with consequents of any size.

    `fit` takes the itemsets, a DataFrame with ``items`` (array), ``count`` and, unless numBaskets
    is set, ``support``; or a fitted model with ``itemsets``. They must be all frequent itemsets of
    one minimum support. The executors generate the rules: each task takes a share of the itemsets
    and an index of all of them (40 bytes per itemset).

    Parameters
    ----------
    minConfidence : float, default=0.8
        Least confidence, in [0, 1].
    maxConsequent : int, optional
        Most items of a consequent; 1 gives the rules of MLlib.
    filters : dict, optional
        Maps a measure to ``(least, most)``, None for no bound: ``{"lift": (1.2, None)}``.
    pruneRedundant : bool, default=False
        Leave out rules whose confidence a more general rule reaches (see minImprovement).
    minImprovement : float, default=0.0
        With pruneRedundant, least difference of a rule's confidence to that of every more general
        rule.
    pValues : bool, default=False
        Add ``pValue``, of Fisher's exact test against independence.
    correction : {"bonferroni", "benjamini-hochberg"}, optional
        Add ``adjustedPValue`` too.
    hypotheses : {"candidates", "rules"}, default="candidates"
        The hypotheses of the correction: all rules of the itemsets, since the confident ones are
        selected from them, or only the rules that pass all other conditions.
    maxPValue : float, optional
        Keep rules whose adjusted p-value (``pValue`` without correction) is at most this.
    numBaskets : int, optional
        Number of baskets; from count and support when not set.
    numMissing : int, default=0
        Baskets beyond numBaskets with unknown content; only ``representativity`` uses it.
    memoryPerTask : str, default="512m"
        Memory of a task beyond its interpreter.
    itemsCol, countCol : str, default="items", "count"
        Columns of the itemsets; the model's `transform` reads baskets from itemsCol too.
    predictionCol : str, default="prediction"
        Column that the model's `transform` adds.
    maxRecommendations : int, optional
        Most items that `transform` recommends for a basket.
    rankBy : str, default="confidence"
        Measure of the rules that orders the recommendations.

    Examples
    --------
    >>> itemsets = spark.createDataFrame(
    ...     [(["bread"], 3, 0.75), (["butter"], 2, 0.5), (["bread", "butter"], 2, 0.5)],
    ...     "items array<string>, count long, support double",
    ... )
    >>> rules = AssociationRules(minConfidence=0.9).fit(itemsets).rules
    >>> rules.select("antecedent", "consequent", "confidence").show()
    +----------+----------+----------+
    |antecedent|consequent|confidence|
    +----------+----------+----------+
    |  [butter]|   [bread]|       1.0|
    +----------+----------+----------+
    <BLANKLINE>
    """

    minConfidence: Any = param("minConfidence", "least confidence", TypeConverters.toFloat)
    maxConsequent: Any = param(
        "maxConsequent", "most items of a consequent (>= 1)", TypeConverters.toInt
    )
    filters: Any = param("filters", "dict from a measure to (least, most); None is no bound")
    pruneRedundant: Any = param(
        "pruneRedundant",
        "whether to leave out rules whose confidence a more general rule reaches",
        TypeConverters.toBoolean,
    )
    minImprovement: Any = param(
        "minImprovement",
        "least difference of confidence to more general rules",
        TypeConverters.toFloat,
    )
    pValues: Any = param(
        "pValues", "whether to add p-values of Fisher's exact test", TypeConverters.toBoolean
    )
    correction: Any = param(
        "correction", f"one of {', '.join(CORRECTIONS)}; none when not set", TypeConverters.toString
    )
    hypotheses: Any = param(
        "hypotheses", "hypotheses of the correction: candidates or rules", TypeConverters.toString
    )
    maxPValue: Any = param("maxPValue", "largest (adjusted) p-value", TypeConverters.toFloat)
    numBaskets: Any = param(
        "numBaskets", "number of baskets; from count and support when not set", TypeConverters.toInt
    )
    numMissing: Any = param(
        "numMissing", "number of baskets with unknown content", TypeConverters.toInt
    )
    memoryPerTask: Any = param(
        "memoryPerTask", "memory of a task, like '512m'", TypeConverters.toString
    )
    itemsCol: Any = param("itemsCol", "array column of the itemsets", TypeConverters.toString)
    countCol: Any = param(
        "countCol", "column of the itemsets' support counts", TypeConverters.toString
    )
    maxRecommendations: Any = param(
        "maxRecommendations", "most items recommended for a basket", TypeConverters.toInt
    )
    rankBy: Any = param("rankBy", "measure that orders recommendations", TypeConverters.toString)

    @constructor
    def __init__(
        self,
        *,
        minConfidence: float = 0.8,
        maxConsequent: int | None = None,
        filters: Any = None,
        pruneRedundant: bool = False,
        minImprovement: float = 0.0,
        pValues: bool = False,
        correction: str | None = None,
        hypotheses: str = "candidates",
        maxPValue: float | None = None,
        numBaskets: int | None = None,
        numMissing: int = 0,
        memoryPerTask: str = "512m",
        itemsCol: str = "items",
        countCol: str = "count",
        maxRecommendations: int | None = None,
        rankBy: str = "confidence",
        predictionCol: str = "prediction",
    ) -> None: ...

    def fit(self, dataset: Any, params: Any = None) -> Any:
        """Generate the rules of itemsets.

        Parameters
        ----------
        dataset : pyspark.sql.DataFrame or fitted model of frequent itemsets
        params : dict, optional
            Params that override the estimator's own.

        Returns
        -------
        AssociationRulesModel
            Its ``rules`` are persisted once computed (`unpersist` frees them).

        Raises
        ------
        ConfigurationError
            ``invalid_param``.
        DataError
            ``column_not_found``, ``column_type``, ``no_itemsets``, ``incomplete_itemsets``,
            ``invalid_itemsets``, ``itemset_too_long`` or ``no_basket_count``.
        ResourceError
            ``index_too_large`` for memoryPerTask.
        """
        # A DataFrame of Connect has any attribute: a column of that name, which may not exist.
        if not isinstance(getattr(dataset, "numBaskets", None), int):
            return super().fit(dataset, params)
        known: dict[str, Any] = dict(getattr(dataset, "summary", {}))
        target = known.get("target", "frequent")
        if target != "frequent":
            raise DataError(
                "incomplete_itemsets",
                f"Rules need the counts of all frequent itemsets, not of the {target} ones only.",
                "Fit the itemsets with target='frequent'.",
            )
        estimator = self.copy()
        if not self.isSet("numBaskets"):
            estimator.setParams(numBaskets=int(dataset.numBaskets))
        if not self.isSet("numMissing"):
            estimator.setParams(numMissing=int(known.get("null_baskets", 0)))
        return estimator.fit(dataset.itemsets, params)

    def _fit(self, dataset: DataFrame) -> AssociationRulesModel:
        filters = self._check_params()
        item_type = self._check_schema(dataset)
        spark = dataset.sparkSession
        check_workers(spark)
        hashed = hashed_itemsets(dataset, self._value(self.itemsCol), self._value(self.countCol))
        family = ItemsetFamily.survey(
            hashed,
            n_baskets=self._value(self.numBaskets),
            memory=parse_size(self._value(self.memoryPerTask)),
        )
        with_p = self._with_p_values()
        plan = RulePlan(
            n_baskets=family.n_baskets,
            missing=self._value(self.numMissing),
            min_confidence=self._value(self.minConfidence),
            max_consequent=self._value(self.maxConsequent),
            min_improvement=self._value(self.minImprovement)
            if self._value(self.pruneRedundant)
            else None,
            p_values=with_p,
        )
        candidates = family.candidates(self._value(self.maxConsequent))
        slots = SessionInfo.of(spark).slots or 8
        tasks = max(1, min(4 * slots, math.ceil(candidates / _RULES_PER_TASK)))
        rules = itemset_shares(hashed, tasks).mapInArrow(
            plan, rule_schema(item_type, p_values=with_p)
        )
        rules = rules.where(filter_column(filters)).persist()
        _logger.info(
            "%d itemsets, %d candidate rules, %d tasks",
            family.n,
            candidates,
            tasks,
        )
        if correction := self._value(self.correction):
            m = candidates if self._value(self.hypotheses) == "candidates" else rules.count()
            rules = adjusted(rules, m, correction)
        if (most := self._value(self.maxPValue)) is not None:
            rules = rules.where(f"{'adjustedPValue' if correction else 'pValue'} <= {most!r}")
        if correction:
            rules = rules.persist()
        content = {"numBaskets": family.n_baskets, "numCandidates": candidates}
        model = AssociationRulesModel(tables={"rules": rules}, content=content)
        return self._copyValues(model)

    def _with_p_values(self) -> bool:
        asked = self.isDefined(self.correction) or self.isDefined(self.maxPValue)
        return bool(self._value(self.pValues) or asked)

    def _check_params(self) -> Any:
        check_fraction("minConfidence", self._value(self.minConfidence), zero=True)
        check_whole("maxConsequent", self._value(self.maxConsequent))
        check_whole("numBaskets", self._value(self.numBaskets))
        check_whole("numMissing", self._value(self.numMissing), 0)
        check_whole("maxRecommendations", self._value(self.maxRecommendations))
        check_fraction("minImprovement", self._value(self.minImprovement), zero=True)
        if self.isDefined(self.maxPValue):
            check_fraction("maxPValue", self._value(self.maxPValue), zero=True)
        for name, known in [
            ("correction", CORRECTIONS),
            ("hypotheses", _HYPOTHESES),
            ("rankBy", MEASURES),
        ]:
            value = self._value(self.getParam(name))
            if value is not None and value not in known:
                raise ConfigurationError(
                    "invalid_param",
                    f"{name} must be one of {', '.join(known)}. Got {value!r}."
                    f"{nearest(value, known)}",
                )
        parse_size(self._value(self.memoryPerTask), "memoryPerTask")
        with_p = ("pValue",) if self._with_p_values() else ()
        return check_filters(self._value(self.filters), MEASURES + with_p)

    def _check_schema(self, df: DataFrame) -> str:
        from pyspark.sql.types import ArrayType, IntegralType

        kind = check_column(df, self._value(self.itemsCol), "items")
        if not isinstance(kind, ArrayType):
            raise DataError(
                "column_type",
                f"The column {self._value(self.itemsCol)!r} must be an array of items. "
                f"Got {kind.simpleString()}.",
            )
        counts = check_column(df, self._value(self.countCol), "count")
        if not isinstance(counts, IntegralType):
            raise DataError(
                "column_type",
                f"The column {self._value(self.countCol)!r} must hold whole numbers. "
                f"Got {counts.simpleString()}.",
            )
        if not self.isDefined(self.numBaskets) and "support" not in df.columns:
            raise DataError(
                "no_basket_count",
                "The itemsets have no column 'support', from which the number of baskets follows.",
                "Set numBaskets.",
            )
        return str(kind.elementType.simpleString())
