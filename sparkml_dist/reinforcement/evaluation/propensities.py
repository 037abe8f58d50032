"""Estimates the probabilities of logged actions where the log does not have them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sparkml_dist.dataset.column_names import check_outputs
from sparkml_dist.dataset.equal_rows import separated
from sparkml_dist.dataset.hashable import hashable
from sparkml_dist.dataset.hashing import salt, spark_uniform
from sparkml_dist.dataset.many_columns import named_column
from sparkml_dist.ensemble import BaggingClassifier
from sparkml_dist.errors import ConfigurationError, DataError, nearest

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

__all__ = ["estimate_propensities"]

_FOLD, _KEY, _SCORES = "_sparkml_dist_fold", "_sparkml_dist_key", "_sparkml_dist_scores"


def estimate_propensities(
    df: DataFrame,
    estimator: Any,
    *,
    state: str | Sequence[str],
    action: str,
    episode: str | Sequence[str] | None = None,
    weight: str | None = None,
    behaviorProb: str = "behaviorProb",
    least: float = 0.001,
    folds: int = 2,
    members: int = 4,
    seed: int = 0,
    **options: Any,
) -> DataFrame:
    """Add the probability with which the logged action was taken, as a classifier estimates it.

    The classifier of a fold learns the action from the state in the episodes of all other folds, a
    member on each shard, so that no row's own action is in its probability. Estimates of a policy
    from these probabilities are right where all that decided the action is in the state.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
        The log. Rows without an action keep a null probability.
    estimator : scikit-learn classifier
        With ``predict_proba``, well calibrated: logistic regression, or trees with large leaves.
    state : str or sequence of str
    action : str
    episode : str or sequence of str, optional
        Folds are a function of it; by default each row has its own, also of equal ones.
    weight : str, optional
    behaviorProb : str, default="behaviorProb"
        Name of the column.
    least : float, default=0.001
        Smaller probabilities are raised to this one.
    folds : int, default=2
    members : int, default=4
        Members that vote in each fold.
    seed : int, default=0
    **options
        Further Params of `BaggingClassifier`, such as `numShards` and `memoryPerTask`.

    Returns
    -------
    pyspark.sql.DataFrame

    Raises
    ------
    ConfigurationError
        ``invalid_param``.
    DataError
        ``column_not_found``; those of `BaggingClassifier`.

    Examples
    --------
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> log = spark.createDataFrame(
    ...     [(i, i % 2, "ab"[i % 4 == 0]) for i in range(80)], "id int, x int, action string")
    >>> tree = DecisionTreeClassifier(max_depth=1)
    >>> found = estimate_propensities(
    ...     log, tree, state="x", action="action", episode="id", members=2)
    >>> found.where("x = 1").agg({"behaviorProb": "min"}).first()[0]
    1.0
    """
    from pyspark.ml.functions import vector_to_array
    from pyspark.sql import functions as F

    if not 0 < least < 1 or folds < 2 or members < 1:
        raise ConfigurationError(
            "invalid_param",
            "least must be between 0 and 1, folds at least 2, and members at least 1.",
        )
    names, identity = _names(state), _names(episode)
    for name in (*names, action, *identity, *_names(weight)):
        if name not in df.columns:
            raise DataError(
                "column_not_found",
                f"There is no column {name!r}.{nearest(name, df.columns)}",
                f"Columns are: {', '.join(df.columns[:12])}.",
            )
    check_outputs(df, [behaviorProb])
    rows = df.withColumn(_KEY, _key(df, identity))
    if not identity:
        rows = separated(rows, _KEY)
    fold_of_row = (spark_uniform(F.col(_KEY), seed, "propensity fold") * folds).cast("int")
    rows = rows.withColumn(_FOLD, fold_of_row).drop(_KEY)
    acting = rows.where(named_column(action).isNotNull())
    parts = rows.where(named_column(action).isNull()).withColumn(
        behaviorProb, F.lit(None).cast("double")
    )
    for fold in range(folds):
        classifier = BaggingClassifier(
            estimator=estimator,
            numMembers=members,
            featuresCols=names,
            labelCol=action,
            weightCol=weight,
            probabilityCol=_SCORES,
            rawPredictionCol="",
            predictionCol="",
            seed=seed,
            **options,
        )
        model = classifier.fit(acting.where(F.col(_FOLD) != fold).drop(_FOLD))
        scored = model.transform(acting.where(F.col(_FOLD) == fold))
        scores = vector_to_array(F.col(_SCORES))
        chance = F.lit(0.0)
        for code, known in enumerate(model.classes):
            chance = F.when(named_column(action) == F.lit(known), scores[code]).otherwise(chance)
        kept = [named_column(n) for n in parts.columns if n != behaviorProb]
        found = scored.select(*kept, F.greatest(chance, F.lit(least)).alias(behaviorProb))
        parts = parts.unionByName(found)
    return parts.drop(_FOLD)


def _key(df: DataFrame, identity: Sequence[str]) -> Column:
    from pyspark.sql import functions as F

    names = identity or df.columns
    parts = [hashable(named_column(n), df.schema[n].dataType) for n in names]
    return F.xxhash64(F.lit(salt("propensity")).cast("long"), *parts)


def _names(value: str | Sequence[str] | None) -> list[str]:
    if value is None:
        return []
    return [value] if isinstance(value, str) else list(value)
