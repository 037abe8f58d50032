"""The task that generates rules from itemsets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sparkml_dist.mining.rules.fisher import fisher_greater
from sparkml_dist.mining.rules.generation import RuleBatch, rules_of
from sparkml_dist.mining.rules.measures import MEASURES, rule_measures
from sparkml_dist.mining.rules.redundancy import improves
from sparkml_dist.mining.rules.set_index import SetIndex

__all__ = ["RulePlan", "rule_schema"]


def rule_schema(item_type: str, *, p_values: bool) -> str:
    """Return the schema of rules in Spark's DDL.

    Parameters
    ----------
    item_type : str
        Spark's name of the items' type.
    p_values : bool
        Whether there is a column of p-values.
    """
    lists = f"antecedent array<{item_type}>, consequent array<{item_type}>, anchor {item_type}"
    counts = "count bigint, antecedentCount bigint, consequentCount bigint"
    measures = [*MEASURES, *(["pValue"] if p_values else [])]
    return ", ".join([lists, counts, *(f"{m} double" for m in measures)])


@dataclass(frozen=True)
class RulePlan:
    """Generates the rules of a share of the itemsets; sent to the tasks.

    Attributes
    ----------
    n_baskets, missing : int
        Number of baskets, and of further baskets with unknown content.
    min_confidence : float
    max_consequent : int or None
    min_improvement : float or None
        The improvement that rules must exceed; None keeps redundant rules.
    p_values : bool
    """

    n_baskets: int
    missing: int
    min_confidence: float
    max_consequent: int | None
    min_improvement: float | None
    p_values: bool

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield rules; the first rows, without items, are the index of all itemsets.

        Columns: items, count, hash of the set, hashes of the items.
        """
        hashes: list[npt.NDArray] = []
        counts: list[npt.NDArray] = []
        index: SetIndex | None = None
        for batch in batches:
            of_index = np.asarray(batch.column(0).is_null())
            if of_index.any():
                part = batch.filter(pa.array(of_index))
                counts.append(part.column(1).to_numpy())
                hashes.append(part.column(2).to_numpy().view(np.uint64))
            if of_index.all():
                continue
            if index is None:
                index = SetIndex(hashes, counts)
                hashes, counts = [], []
            yield from self._rules(batch.filter(pa.array(~of_index)), index)

    def _rules(self, batch: pa.RecordBatch, index: SetIndex) -> Iterator[pa.RecordBatch]:
        items, codes = batch.column(0), batch.column(3)
        sizes = items.value_lengths().to_numpy(zero_copy_only=False)
        counts = batch.column(1).to_numpy()
        for k in np.unique(sizes[sizes > 1]):
            chosen = np.flatnonzero(sizes == k)
            taken = pa.array(chosen)
            values = items.take(taken).flatten()
            hashes = codes.take(taken).flatten().to_numpy().view(np.uint64).reshape(-1, k)
            singles = index.counts(hashes)
            for rules in rules_of(
                hashes,
                counts[chosen],
                index,
                min_confidence=self.min_confidence,
                max_consequent=self.max_consequent,
            ):
                if self.min_improvement is not None:
                    rules = rules.of(
                        improves(rules, hashes, index, self.n_baskets, self.min_improvement)
                    )
                if len(rules):
                    yield self._written(rules, values, singles)

    def _written(self, rules: RuleBatch, values: pa.Array, singles: npt.NDArray) -> pa.RecordBatch:
        k = singles.shape[1]
        in_y = rules.in_consequent(k)
        at = rules.row[:, None] * k + np.arange(k)
        rarest = np.where(in_y, np.iinfo(np.int64).max, singles[rules.row]).argmin(axis=1)
        anchor = values.take(pa.array(at[np.arange(len(rules)), rarest]))
        measures = rule_measures(
            self.n_baskets,
            rules.antecedent,
            rules.consequent,
            rules.both,
            missing=self.missing,
        )
        if self.p_values:
            measures["pValue"] = fisher_greater(
                self.n_baskets, rules.antecedent, rules.consequent, rules.both
            )
        columns = {
            "antecedent": _lists(values, at, ~in_y),
            "consequent": _lists(values, at, in_y),
            "anchor": anchor,
            "count": pa.array(rules.both),
            "antecedentCount": pa.array(rules.antecedent),
            "consequentCount": pa.array(rules.consequent),
            **{name: pa.array(value) for name, value in measures.items()},
        }
        return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))


def _lists(values: pa.Array, at: npt.NDArray, chosen: npt.NDArray[np.bool_]) -> pa.Array:
    offsets = np.concatenate([[0], np.cumsum(chosen.sum(axis=1))]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values.take(pa.array(at[chosen])))
