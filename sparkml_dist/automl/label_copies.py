"""Columns that are the label under other values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sparkml_dist.dataset.many_columns import quoted

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["label_copies"]

#: Columns that are compared at once.
_MOST = 50


def label_copies(df: DataFrame, label: str, names: Sequence[str], *, is_number: bool) -> list[str]:
    """Return the columns each of whose values goes with one value of the label, and the reverse.

    Takes one pass in the JVM; the driver gets three counts for each column.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
    label : str
    names : sequence of str
        Columns that predict the label nearly perfectly; the first 50 are compared.
    is_number : bool
        Whether the label is a number and not a class: then only a column of equal numbers is a
        copy.
    """
    from pyspark.sql import functions as F

    names = list(names)[:_MOST]
    if not names:
        return []
    y = quoted([label])[0]
    counts = []
    for i, x in enumerate(quoted(names)):
        if is_number:
            same = f"try_cast({x} as double) <=> cast({y} as double)"
            counts += [f"count_if({x} is not null) as n{i}", f"count_if({same}) as same{i}"]
            continue
        # Which values go with which, as text: types may differ.
        pair = f"named_struct('x', cast({x} as string), 'y', cast({y} as string))"
        both = f"filter (where {x} is not null and {y} is not null)"
        counts += [
            f"count(distinct {pair}) {both} as n{i}",
            f"count(distinct cast({x} as string)) {both} as x{i}",
            f"count(distinct cast({y} as string)) {both} as y{i}",
        ]
    row = df.agg(*[F.expr(count) for count in counts], F.expr("count(*) as rows")).first()
    assert row is not None
    if is_number:
        return [n for i, n in enumerate(names) if row[f"n{i}"] > 0 and row[f"same{i}"] == row.rows]
    return [n for i, n in enumerate(names) if 1 < row[f"n{i}"] == row[f"x{i}"] == row[f"y{i}"]]
