"""The rows of a partitioned data set as codes: its categorical features, and its classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sparkml_dist.cluster.sums.layout import Arrays, Summands
from sparkml_dist.dataset.block import Block
from sparkml_dist.dataset.block_sums import sum_over_blocks
from sparkml_dist.dataset.categories import canonical
from sparkml_dist.dataset.labels import Label
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.graphical.counting.frame_rows import codes_of, variables_of
from sparkml_dist.graphical.variables import Variable, Variables

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["ShardRows", "check_categorical", "class_variable"]


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
        label = data.manifest.label
        features = variables_of(data.schema).items
        self.with_class = not label.is_regression
        self.variables = Variables(
            (*features, class_variable(label)) if self.with_class else features
        )

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

    def close(self) -> None:
        """Do nothing: the shards stay."""


@dataclass(frozen=True)
class _OfBlock:
    function: Callable[..., Summands]
    with_class: bool

    def __call__(self, block: Block, *parameters: Any) -> Summands:
        codes = codes_of(np.asarray(block.X))
        if self.with_class:
            codes = np.column_stack([codes, block.y.astype(np.int16)])
        return self.function(codes, *parameters)
