"""The schema of a table, with which another file is read in the same way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sparkml_dist.errors import StorageError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["KINDS", "MISSING_VALUES", "Table", "TableSchema"]

#: Fields that mark missing values in numeric and boolean columns of text tables, compared after
#: trimming. In string columns only the empty field does: NA may be Namibia.
MISSING_VALUES = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "?", "None")

#: Kinds of columns; "other" (arrays, vectors, dates, …) only in Parquet.
KINDS = ("number", "boolean", "string", "other")


@dataclass(frozen=True)
class TableSchema:
    """How a table was read; saved with a model and used to read further files.

    Attributes
    ----------
    format : str
        ``"parquet"``, ``"csv"``, ``"tsv"`` or ``"libsvm"``.
    columns : tuple of str
        Names of all columns, in the order of the file.
    kinds : tuple of str
        For each column ``"number"``, ``"boolean"``, ``"string"`` or ``"other"``.
    label : str
        Name of the label column; empty when there is none.
    features : tuple of str
        Names of the feature columns.
    categorical : tuple of str
        Those of `features` that hold categories.
    header : bool or None
        Whether the text file had a line of names; None for other formats.
    delimiter : str
        Field separator of a text table; ``" "`` stands for any run of blanks.
    decimal : str
        Decimal mark of numbers in a text table.
    missing : tuple of str
        Fields that mark missing values in all features, besides `MISSING_VALUES`.
    words : tuple of str
        Columns in which `MISSING_VALUES` are values.
    comment : str
        First character of comment lines; empty for none.
    n_features : int
        Number of features of a libsvm file; 0 for other formats.
    zero_based : bool
        Whether the libsvm file counts features from 0.
    """

    format: str
    columns: tuple[str, ...]
    kinds: tuple[str, ...]
    label: str = ""
    features: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    header: bool | None = None
    delimiter: str = ""
    decimal: str = "."
    missing: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    comment: str = ""
    n_features: int = 0
    zero_based: bool = False

    def kind(self, column: str) -> str:
        """Return the kind of `column`; ``"string"`` for an unknown column."""
        return self._kinds.get(column, "string")

    @cached_property
    def _kinds(self) -> dict[str, str]:
        return dict(zip(self.columns, self.kinds, strict=True))

    def without_label(self) -> TableSchema:
        """Return the schema of a file without the label."""
        if self.label not in self.columns:
            return self
        at = self.columns.index(self.label)
        return replace(
            self,
            label="",
            columns=self.columns[:at] + self.columns[at + 1 :],
            kinds=self.kinds[:at] + self.kinds[at + 1 :],
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the schema as JSON values."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> TableSchema:
        """Return the schema of `to_dict`; unknown keys are ignored.

        Raises
        ------
        StorageError
            ``altered_manifest`` when `content` is no such thing.
        """
        try:
            known = {field.name for field in fields(cls)}
            values: dict[str, Any] = {
                key: tuple(value) if isinstance(value, list) else value
                for key, value in content.items()
                if key in known
            }
            schema = cls(**values)
            sound = len(schema.columns) == len(schema.kinds) and set(schema.kinds) <= set(KINDS)
        except (TypeError, AttributeError):
            sound = False
        if not sound:
            raise StorageError(
                "altered_manifest",
                "The saved schema of the training table is damaged.",
                "Train again, or restore the folder.",
            )
        return schema


@dataclass(frozen=True)
class Table:
    """A table: its rows and the roles of its columns.

    Attributes
    ----------
    df : pyspark.sql.DataFrame
        The rows, lazily, with typed columns.
    schema : TableSchema
        How it was read.
    """

    df: DataFrame
    schema: TableSchema

    @property
    def label(self) -> str:
        """Name of the label column; empty when there is none."""
        return self.schema.label

    @property
    def features(self) -> list[str]:
        """Names of the feature columns."""
        return list(self.schema.features)

    @property
    def categorical(self) -> list[str]:
        """Names of the feature columns that hold categories."""
        return list(self.schema.categorical)
