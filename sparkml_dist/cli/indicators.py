"""One-hot encoding of categorical columns, for methods that compute distances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sparkml_dist.dataset.categories import category_column
from sparkml_dist.dataset.many_columns import named_column

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["Indicators", "with_indicators"]

#: Categories of a column that get an indicator: the most frequent ones.
MOST_CATEGORIES = 100


@dataclass(frozen=True)
class Indicators:
    """A table with one-hot encoded categories.

    Attributes
    ----------
    df : pyspark.sql.DataFrame
        The table, with the indicators beside its own columns.
    features : list of str
        The features, with categorical ones replaced by their indicators.
    added : list of str
        The indicators: ``column=category``, 1.0 where the row has the category.
    """

    df: DataFrame
    features: list[str]
    added: list[str]


def with_indicators(
    df: DataFrame, features: Sequence[str], categorical: Sequence[str]
) -> Indicators:
    """Add an indicator column for each category of some features.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
    features : sequence of str
    categorical : sequence of str
        The categorical ones of `features`. The 100 most frequent categories of each get an
        indicator; missing values and other categories have 0 in all of them.
    """
    from pyspark.sql import functions as F

    taken = {name.casefold() for name in df.columns}
    columns, found = {}, list[str]()
    for feature in features:
        if feature not in categorical:
            found.append(feature)
            continue
        value = category_column(named_column(feature).cast("string"))
        counts = df.where(value.isNotNull()).groupBy(value.alias("value")).count()
        # Ties by name, so that a repeated run makes the same columns.
        ranked = counts.orderBy(F.desc("count"), "value")
        for row in ranked.limit(MOST_CATEGORIES).collect():
            name = _unused(f"{feature}={row['value']}".replace("`", "'"), taken)
            is_it = F.coalesce(value == F.lit(row["value"]), F.lit(False))
            columns[name] = is_it.cast("double")
            found.append(name)
    return Indicators(df.withColumns(columns) if columns else df, found, list(columns))


def _unused(name: str, taken: set[str]) -> str:
    """Return a name that differs from others without regard to case, as Spark compares names."""
    number, wanted = 1, name
    while name.casefold() in taken:
        number += 1
        name = f"{wanted}#{number}"
    taken.add(name.casefold())
    return name
