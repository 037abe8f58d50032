"""Fitted sequential patterns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pyspark.ml.param import TypeConverters

from sparkml_dist.errors import DataError
from sparkml_dist.mining.estimator import check_column
from sparkml_dist.mining.table_model import TableModel
from sparkml_dist.params import param

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["SequentialPatternsModel"]


class SequentialPatternsModel(TableModel):
    """Sequential patterns as a DataFrame.

    Attributes
    ----------
    patterns : pyspark.sql.DataFrame
        ``sequence`` (array of elements, each an array of items), ``count`` of the sequences
        that hold it, ``support``.
    numSequences : int
        Sequences that were mined.
    """

    sequenceCol: Any = param("sequenceCol", "column of sequences", TypeConverters.toString)

    _table_names: ClassVar[tuple[str, ...]] = ("patterns",)
    _defaults: ClassVar[dict[str, Any]] = {"sequenceCol": "sequence"}

    @property
    def patterns(self) -> DataFrame:
        """The patterns."""
        return self.tables["patterns"]

    @property
    def numSequences(self) -> int:
        """Sequences that were mined."""
        return int(self.content["numSequences"])

    def unpersist(self) -> SequentialPatternsModel:
        """Let go of the patterns that Spark keeps."""
        self.patterns.unpersist()
        return self

    def _transform(self, dataset: DataFrame) -> DataFrame:
        """Refuse: which use of patterns is meant cannot be known."""
        check_column(dataset, self._value(self.sequenceCol), "sequences")
        raise DataError(
            "nothing_to_transform",
            "Sequential patterns describe data; they add no column to it.",
            "Read model.patterns.",
        )
