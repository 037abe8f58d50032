"""Counts equal transitions: one grouped count on Spark, whose sums are exact in any order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sparkml_dist.dataset.labels import class_column
from sparkml_dist.dataset.many_columns import named_column
from sparkml_dist.errors import DataError
from sparkml_dist.reinforcement.log_columns import LogColumns
from sparkml_dist.reinforcement.tabular.cells import Cells
from sparkml_dist.reinforcement.tabular.exact_sums import (
    FIRST_EXPONENT,
    joined,
    next_exponent,
    split_column,
    split_values,
)
from sparkml_dist.reinforcement.tabular.state_table import StateTable
from sparkml_dist.reinforcement.transition_block import TransitionBlock
from sparkml_dist.reinforcement.transition_dataset import TransitionDataset

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from sparkml_dist.dataset.labels import LabelKind

__all__ = ["Counted", "count_log", "count_transitions", "counted_block", "exactly"]

#: What is summed up in a group beside its rows: weight × reward, weight, weight × discount, and the
#: weight of first rows of episodes.
_VALUES = {"r": "reward", "w": "weight", "d": "discount", "f": "weight"}
Exponents = Mapping[str, int]


class Counted:
    """The table of groups, in the driver.

    Parameters
    ----------
    table : pyarrow.Table
        Columns ``s0…``, ``a``, ``t``, ``n0…``, ``rows``, ``firsts``, and of each sum its two words.
    exponents : mapping of str to int
        Of the sums; see `split_column`.
    """

    def __init__(self, table: pa.Table, exponents: Exponents) -> None:
        self.table = table
        self._exponents = exponents
        self.width = sum(name[0] == "s" for name in table.column_names)

    def column(self, name: str) -> Any:
        """Return a column as an array of numpy or, for strings, of Arrow."""
        found = self.table.column(name).combine_chunks()
        return found if pa.types.is_string(found.type) else found.to_numpy(zero_copy_only=False)

    def key(self, name: str) -> Any:
        """Return a key as an array of float64, NaN for null, or, for strings, of Arrow."""
        found = self.table.column(name).combine_chunks()
        if pa.types.is_string(found.type):
            return found
        numbers = found.cast(pa.float64(), safe=False)
        return pc.fill_null(numbers, np.nan).to_numpy(zero_copy_only=False)

    def sums(self, name: str) -> npt.NDArray[np.float64] | None:
        """Return a sum of each group, shape (m,); None where rows have no such value."""
        if name not in self._exponents:
            return None
        return joined(self.column(f"{name}1"), self.column(f"{name}2"), self._exponents[name])


def exactly(count: Callable[[Exponents], DataFrame], names: list[str]) -> Counted:
    """Count groups; count once more where numbers are too large or small for the first exponent.

    Parameters
    ----------
    count : callable
        Returns the groups for given exponents.
    names : list of str
        Of the values that are summed up: ``r``, and ``w``, ``d`` and ``f`` where rows have them.

    Raises
    ------
    DataError
        ``reward_not_finite``, ``weight_null``, ``discount_range``.
    """
    exponents = dict.fromkeys(names, FIRST_EXPONENT)
    table = count(exponents).toArrow()
    largest = {
        n: max(table.column(f"{n}max").to_pylist(), default=0.0, key=_nan_first) for n in names
    }
    for name, code in (("w", "weight_null"), ("d", "discount_range"), ("r", "reward_not_finite")):
        if name in largest and not np.isfinite(largest[name]):
            raise DataError(
                code,
                f"The {_VALUES[name]} is null, NaN or infinite in some rows.",
                "Fill in what is missing, or drop those rows.",
            )
    if "wrong" in table.column_names and pc.any(table.column("wrong")).as_py():
        raise DataError(
            "weight_negative" if "d" not in names else "discount_range",
            "A weight is negative" + (", or a discount outside [0, 1]." if "d" in names else "."),
            "Correct the column, or drop those rows.",
        )
    better = {n: next_exponent(largest[n], exponents[n]) for n in names}
    if any(e is not None for e in better.values()):
        exponents |= {n: e for n, e in better.items() if e is not None}
        table = count(exponents).toArrow()
    return Counted(table, exponents)


def _nan_first(value: float) -> float:
    return np.inf if value != value else value


def count_log(df: DataFrame, columns: LogColumns, kind: LabelKind) -> Callable[..., DataFrame]:
    """Return a function from exponents to the groups of a table of single transitions.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
    columns : LogColumns
        With columns of the next state; states are numbers or strings.
    kind : str
        Of the action's `Label`.
    """
    from pyspark.sql import functions as F

    done = F.lit(False)
    if columns.terminated:
        done = F.coalesce(named_column(columns.terminated).cast("boolean"), F.lit(False))

    def number(name: str) -> Any:
        return F.coalesce(named_column(name).cast("double"), F.lit(float("nan")))

    keys, w = [], number(columns.weight) if columns.weight else None
    # Spark groups faster by the columns as they are than by doubles. Where a next state means
    # nothing, it is null.
    for i, (own, after) in enumerate(zip(columns.state, columns.next_state, strict=True)):
        follows = F.when(~done, named_column(after))
        keys += [named_column(own).alias(f"s{i}"), follows.alias(f"n{i}")]
    keys += [class_column(columns.action[0], kind).alias("a"), done.alias("t")]
    values = {"r": number(columns.reward)}
    if columns.discount:
        values["d"] = number(columns.discount)
    if w is not None:
        values = {"w": w, **{n: w * v for n, v in values.items()}}
    # A row that neither ends nor has a next state tells nothing about what follows.
    known = F.lit(True)
    for after in columns.next_state:
        known = known & named_column(after).isNotNull()
    wrong = [] if w is None else [w < 0]
    if columns.discount:
        wrong.append(~number(columns.discount).between(0, 1))
    carried = [v.alias(n) for n, v in values.items()]
    checked = [reduce(or_, wrong).alias("wrong")] if wrong else []
    rows = df.where(done | known).select(*keys, *carried, *checked)
    names = [n for i in range(len(columns.state)) for n in (f"s{i}", f"n{i}")]

    def count(exponents: Exponents) -> DataFrame:
        sums = [
            "count(1) AS rows",
            "count(1) AS firsts",
            *(["max(wrong) AS wrong"] if wrong else []),
        ]
        for name in values:
            high, low = split_column(name, exponents[name])
            sums += [f"sum({high}) AS {name}1", f"sum({low}) AS {name}2"]
            sums.append(f"max(abs({name})) AS {name}max")
        return rows.groupBy(*names, "a", "t").agg(*[F.expr(s) for s in sums])

    return count


def count_transitions(
    spark: SparkSession, data: TransitionDataset, cells: Cells | None
) -> Callable[..., DataFrame]:
    """Return a function from exponents to the groups of transitions in shards.

    A task counts the groups of each block of its shard, and Spark adds them up.
    """
    from pyspark.sql import functions as F

    values = ["r", *(["w"] if data.schema.columns.get("weight") else [])]
    values += ["d"] if "discount" in data.schema.columns else []
    values += ["f"] if "w" in values else []
    width = data.schema.n_state if cells is None or cells.kind == "quantile" else 1
    keys = [n for i in range(width) for n in (f"s{i}", f"n{i}")]
    words = [f"{v}{i}" for v in values for i in (1, 2)]
    schema = ", ".join(
        [f"{k} double" for k in keys]
        + ["a int", "t boolean", "rows bigint", "firsts bigint"]
        + [f"{w} bigint" for w in words]
        + [f"{v}max double" for v in values]
    )

    def count(exponents: Exponents) -> DataFrame:
        def partial(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for batch in batches:
                for shard in batch.column(0).to_pylist():
                    for block in data.blocks(shard):
                        yield counted_block(block, cells, exponents, width)

        shards = len(data.shards)
        parts = spark.range(0, shards, 1, shards).mapInArrow(partial, schema)
        sums = [F.sum(n).alias(n) for n in ("rows", "firsts", *words)]
        sums += [F.max(f"{v}max").alias(f"{v}max") for v in values]
        return parts.groupBy(*keys, "a", "t").agg(*sums)

    return count


def counted_block(
    block: TransitionBlock, cells: Cells | None, exponents: Exponents, width: int
) -> pa.RecordBatch:
    """Return the groups of a block, in the columns of `count_transitions`."""
    block = block.take(block.usable)
    done = block.terminated
    follows = np.where(done[:, None], 0.0, block.next_state)
    if cells is not None and len(block):
        state = cells(block.state)
        follows = np.where(
            done[:, None], 0.0, cells(np.where(done[:, None], 0.0, block.next_state))
        )
    elif cells is not None:
        state = follows = np.zeros((0, width))
    else:
        state = block.state
    _refuse_missing(state, follows)
    found = StateTable(np.column_stack([state, follows, block.action, done]))
    rows, codes, n = found.states, found.codes, len(found)
    weight = block.weight
    values = {"r": block.reward}
    if "d" in exponents:
        values["d"] = block.discounts(1.0)
    if weight is not None and "w" in exponents:
        values = {"w": weight, **{k: weight * v for k, v in values.items()}}
        values["f"] = weight * block.first
    arrays: dict[str, Any] = {}
    for i in range(width):
        arrays[f"s{i}"], arrays[f"n{i}"] = rows[:, i], rows[:, width + i]
    arrays["a"], arrays["t"] = rows[:, -2].astype(np.int32), rows[:, -1] > 0
    arrays["rows"] = np.bincount(codes, minlength=n)
    arrays["firsts"] = np.bincount(codes[block.first], minlength=n)
    # Words are below 2**31 and blocks short, so that doubles hold their sums exactly.
    for name in [k for k in ("r", "w", "d", "f") if k in values]:
        for i, word in enumerate(split_values(values[name], exponents[name]), 1):
            arrays[f"{name}{i}"] = np.bincount(codes, word, n).astype(np.int64)
    for name in [k for k in ("r", "w", "d", "f") if k in values]:
        most = np.zeros(n)
        np.maximum.at(most, codes, np.abs(values[name]))
        arrays[f"{name}max"] = most
    return pa.RecordBatch.from_pydict(arrays)


def _refuse_missing(*matrices: npt.NDArray[np.float64]) -> None:
    if any(np.isnan(m).any() for m in matrices):
        raise missing_state()


def missing_state() -> DataError:
    """Return the error for a state with a missing feature."""
    return DataError(
        "state_missing",
        "A state has a feature that is null or NaN.",
        "Fill it in: a number of its own makes it a state of its own.",
    )
