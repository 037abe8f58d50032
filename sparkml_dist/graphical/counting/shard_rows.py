"""The rows of a partitioned data set as codes: its categorical features, and its classes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sparkml_dist.cluster.sums.layout import Arrays, Summands
from sparkml_dist.dataset.block import Block
from sparkml_dist.dataset.block_sums import sum_over_blocks
from sparkml_dist.dataset.categories import canonical
from sparkml_dist.dataset.labels import Label
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.graphical.counting.block_counts import Codes
from sparkml_dist.graphical.counting.distinct_rows import distinct_rows
from sparkml_dist.graphical.counting.frame_rows import codes_of, variables_of
from sparkml_dist.graphical.counting.held_rows import HeldRows
from sparkml_dist.graphical.counting.merged_rows import DISTINCT, MergedRows, distinct_batch
from sparkml_dist.graphical.counting.packed_rows import held_bytes
from sparkml_dist.graphical.variables import Variable, Variables

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["ShardRows", "check_categorical", "class_variable", "held_shards"]


def class_variable(label: Label) -> Variable:
    """Return the class as a variable, its states in the order of the class list."""
    texts = tuple(canonical(str(c)) for c in label.classes)
    if len(set(texts)) < len(texts):  # such as the strings "True" and "true"
        texts = tuple(str(c) for c in label.classes)
    return Variable(label.column, texts)


def check_categorical(data: PartitionedDataset) -> None:
    """Raise unless all features are categories, and rows have no weights.

    Raises
    ------
    DataError
        ``column_type``.
    ConfigurationError
        ``invalid_param``.
    """
    for column in data.schema.columns:
        if column.kind != "categorical":
            raise DataError(
                "column_type",
                f"The feature column {column.name!r} of {data.location!r} holds numbers, not "
                "categories.",
                "Partition the data with this column among the categorical ones.",
            )
        if not column.categories:
            raise DataError(
                "missing_values",
                f"The column {column.name!r} has no values at all.",
                "Leave it out of featuresCols.",
            )
    if data.manifest.weight is not None:
        raise ConfigurationError(
            "invalid_param",
            f"weightCol is {data.manifest.weight!r}, but rows are counted without weights.",
            "Leave weightCol out.",
        )


class ShardRows:
    """The rows of shards; the class is the last variable.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    data : PartitionedDataset
        Of categorical features; see `check_categorical`.
    """

    def __init__(self, spark: SparkSession, data: PartitionedDataset) -> None:
        self.spark = spark
        self.data = data
        self.with_class = not data.manifest.label.is_regression
        self.variables = _variables(data)

    def sum(
        self,
        function: Callable[..., Summands],
        parameters: Sequence[Any] = (),
        *,
        description: str = "sum over rows",
    ) -> Arrays:
        """Return the sums of what a function returns for each block of rows."""
        return sum_over_blocks(
            self.spark,
            self.data,
            _OfBlock(function, self.with_class),
            parameters,
            dtype=np.float32,
            description=description,
        )

    def bytes_in_one_task(self) -> int:
        """Return what the rows would take in the memory of one task, were they all distinct."""
        return held_bytes(self.data.n_rows, len(self.variables), self.variables.states)

    def held(self) -> None:
        """Return None: the rows are on the executors."""

    def merged(self) -> MergedRows:
        """Return the distinct rows, each in one place."""
        number = len(self.data.shards)
        read = partial(_distinct_of, self.data, self.with_class)
        shards = self.spark.range(0, number, 1, number)
        return MergedRows(shards.mapInArrow(read, DISTINCT), self.variables)

    def close(self) -> None:
        """Do nothing: the shards stay."""


@dataclass(frozen=True)
class _OfBlock:
    function: Callable[..., Summands]
    with_class: bool

    def __call__(self, block: Block, *parameters: Any) -> Summands:
        return self.function(_codes_of_block(block, self.with_class), *parameters)


def _variables(data: PartitionedDataset) -> Variables:
    label = data.manifest.label
    features = variables_of(data.schema).items
    return Variables(features if label.is_regression else (*features, class_variable(label)))


def held_shards(data: PartitionedDataset, most_bytes: int) -> HeldRows | None:
    """Read all shards in this process; None where their distinct rows take more memory.

    Parameters
    ----------
    data : PartitionedDataset
    most_bytes : int
    """
    variables, with_class = _variables(data), not data.manifest.label.is_regression
    width, states = len(variables), variables.states
    kind = np.int8 if variables.cards.max() <= np.iinfo(np.int8).max else np.int16
    parts: list[tuple[Codes, npt.NDArray[np.int64]]] = []
    rows = 0
    for shard, about in enumerate(data.shards):
        for group in range(len(about.row_groups)):
            block = data.read_block(shard, [group], dtype=np.float32)
            codes = _codes_of_block(block, with_class).astype(kind)
            parts.append(distinct_rows(codes, np.ones(len(codes), np.int64)))
            rows += len(parts[-1][0])
            if held_bytes(rows, width, states) > most_bytes:
                parts = [_joined(parts, width, kind)]
                rows = len(parts[0][0])
                if held_bytes(rows, width, states) > most_bytes:
                    return None
    return HeldRows(variables, *_joined(parts, width, kind))


def _distinct_of(
    data: PartitionedDataset, with_class: bool, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for shard in batch.column(0).to_pylist():
            for group in range(len(data.shards[shard].row_groups)):
                block = data.read_block(shard, [group], dtype=np.float32)
                yield distinct_batch(_codes_of_block(block, with_class))


def _codes_of_block(block: Block, with_class: bool) -> Codes:
    codes = codes_of(np.asarray(block.X))
    return np.column_stack([codes, block.y.astype(np.int16)]) if with_class else codes


def _joined(
    parts: list[tuple[Codes, npt.NDArray[np.int64]]], width: int, kind: type
) -> tuple[Codes, npt.NDArray[np.int64]]:
    none: tuple[Codes, npt.NDArray[np.int64]] = (np.zeros((0, width), kind), np.zeros(0, np.int64))
    codes, weights = zip(*(parts or [none]), strict=True)
    return distinct_rows(np.concatenate(codes), np.concatenate(weights))
