"""Target leakage: columns that predict the target too well on their own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sparkml_dist.mining.profiling.column_plan import ColumnPlan, countable
from sparkml_dist.mining.profiling.column_sketch import as_numbers
from sparkml_dist.mining.profiling.frequent_values import as_texts

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["leak_scores", "separation"]

#: A numeric target with more distinct values than this is treated as a number, not a class.
_MOST_CLASSES = 20
#: Least rows of a class, and of all others, for a score: a few rows may be ordered by chance.
_FEW = 10


def leak_scores(
    df: DataFrame, plans: list[ColumnPlan], target: ColumnPlan, fraction: float, seed: int
) -> dict[int, dict[str, Any]]:
    """Return scores of how well each column alone predicts the target, on a sample of rows.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
    plans : list of ColumnPlan
    target : ColumnPlan
    fraction : float
        Share of the rows to sample, in (0, 1].
    seed : int

    Returns
    -------
    dict of int to dict
        By number of column: ``score``, ``by`` (``"value"`` or ``"missing"``) and ``rows``.
    """
    looked_at = [p for p in plans if p.index != target.index and p.kind != "nested"]
    if not looked_at:
        return {}
    sampled = df if fraction >= 1 else df.sample(False, fraction, seed)

    def columns(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            y = batch.column(target.index)
            batch = batch.filter(y.is_valid())
            if not batch.num_rows:
                continue
            y = _plain(batch.column(target.index), target)
            for plan in looked_at:
                x = _plain(batch.column(plan.index), plan)
                n = len(x)
                yield pa.RecordBatch.from_arrays(
                    [pa.array(np.full(n, plan.index, np.int32)), *_typed(x), *_typed(y)],
                    ["number", "x", "x_text", "y", "y_text"],
                )

    def judge(table: pa.Table) -> pa.Table:
        number = table.column("number")[0].as_py()
        found = separation(
            *(table.column(c).combine_chunks() for c in ("x", "x_text", "y", "y_text"))
        )
        return pa.table({"number": pa.array([number], pa.int32()), "found": [json.dumps(found)]})

    long = countable(sampled, plans).mapInArrow(
        columns, "number int, x double, x_text string, y double, y_text string"
    )
    rows = long.groupBy("number").applyInArrow(judge, "number int, found string").collect()
    found = {row["number"]: json.loads(row["found"]) for row in rows}
    return {number: score for number, score in found.items() if score is not None}


def separation(x: pa.Array, x_text: pa.Array, y: pa.Array, y_text: pa.Array) -> Any:
    """Return the score of a column, or None where there are too few rows.

    Numbers are scored by the area under the ROC curve of a class against the others, for the best
    class and direction. Strings are replaced by the rate of the class (or mean of the target) among
    equal strings in one half of the rows, and scored on the other half. For a numeric target the
    score is Spearman's rank correlation. Whether a value is missing is scored too.

    Parameters
    ----------
    x, x_text, y, y_text : pyarrow.Array
        Doubles and strings; in each pair, one of the two is null throughout.
    """
    targets = _targets(y, y_text)
    if targets is None:
        return None
    is_text = x_text.null_count < len(x_text)
    held = x_text if is_text else x
    present = held.is_valid().to_numpy(zero_copy_only=False)
    best: dict[str, Any] = {"score": 0.0, "by": "value", "rows": len(y)}
    for t in targets:
        score = _of_values(held, present, t, is_text)
        if score > best["score"]:
            best |= {"score": score, "by": "value"}
        if 0 < present.sum() < len(present):
            score = _agreement(present.astype(float), t)
            if score > best["score"]:
                best |= {"score": score, "by": "missing"}
    best["score"] = round(float(best["score"]), 6)
    return best


def _of_values(
    held: pa.Array, present: np.ndarray[Any, Any], t: np.ndarray[Any, Any], is_text: bool
) -> float:
    t = t[present]
    if len(t) < 4:
        return 0.0
    if not is_text:
        return _agreement(held.drop_null().to_numpy(), t)
    codes = held.drop_null().dictionary_encode().indices.to_numpy()
    half = np.random.default_rng(0).random(len(t)) < 0.5
    size = int(codes.max()) + 1
    n = np.bincount(codes[half], minlength=size)
    total = np.bincount(codes[half], weights=t[half], minlength=size)
    prior = t[half].mean() if half.any() else 0.0
    # Strings that the first half lacks are left out.
    coded = np.where(n > 0, total / np.maximum(n, 1), prior)[codes[~half]]
    return _agreement(coded, t[~half])


def _targets(y: pa.Array, y_text: pa.Array) -> list[np.ndarray[Any, Any]] | None:
    """Return 0/1 for each class, or the numbers of a numeric target."""
    is_text = y_text.null_count < len(y_text)
    held = (y_text if is_text else y).dictionary_encode()
    classes, codes = len(held.dictionary), held.indices.to_numpy(zero_copy_only=False)
    if classes < 2 or (classes > _MOST_CLASSES and is_text):
        return None
    if classes > _MOST_CLASSES:
        return [y.to_numpy(zero_copy_only=False)]
    return [(codes == c).astype(float) for c in range(1 if classes == 2 else 0, classes)]


def _agreement(x: np.ndarray[Any, Any], t: np.ndarray[Any, Any]) -> float:
    """Return the AUC of 0/1 targets, or the absolute rank correlation; 0 where undefined."""
    from scipy.stats import rankdata

    if len(t) < _FEW or x.min() == x.max() or t.min() == t.max():
        return 0.0
    ranks = rankdata(x)
    if np.isin(t, (0.0, 1.0)).all():
        ones = t.sum()
        if min(ones, len(t) - ones) < _FEW:
            return 0.0
        auc = (ranks[t == 1].sum() - ones * (ones + 1) / 2) / (ones * (len(t) - ones))
        return float(max(auc, 1 - auc))
    return float(abs(np.corrcoef(ranks, rankdata(t))[0, 1]))


def _plain(column: pa.Array, plan: ColumnPlan) -> pa.Array:
    """Return a column as doubles or strings; numbers that are not finite become null."""
    if not plan.is_measured:
        return as_texts(column)
    numbers = np.full(len(column), np.nan)
    numbers[column.is_valid().to_numpy(zero_copy_only=False)] = as_numbers(column.drop_null())
    return pa.array(numbers, mask=~np.isfinite(numbers))


def _typed(values: pa.Array) -> list[pa.Array]:
    if pa.types.is_float64(values.type):
        return [values, pa.nulls(len(values), pa.string())]
    return [pa.nulls(len(values), pa.float64()), values]
