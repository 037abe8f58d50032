"""A column of a table, and the features that are made of it."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from sparkml_dist.automl.date_parts import DateKind, date_part
from sparkml_dist.automl.hashed_words import HashedText, number_of_words
from sparkml_dist.dataset.many_columns import quoted
from sparkml_dist.errors import DataError
from sparkml_dist.persistence.fields import items, natural, one_of, text, whole

if TYPE_CHECKING:
    from pyspark.sql import Column
    from pyspark.sql.types import DataType

__all__ = [
    "LARGEST",
    "MOST_WORD_FEATURES",
    "Role",
    "TableColumn",
    "check_time_zone",
    "role_of_type",
]

Role = Literal["number", "category", "vector", "date", "timestamp", "text"]
MOST_WORD_FEATURES = 65_536
#: Largest number that shards hold.
LARGEST = float(np.finfo(np.float32).max)
_ZONE = re.compile(r"[A-Za-z0-9_+\-:/]{1,64}")


def check_time_zone(zone: str) -> str:
    """Return the name of a time zone; raise ValueError for anything that cannot be one."""
    if not _ZONE.fullmatch(zone):
        raise ValueError(f"{zone!r} is not the name of a time zone")
    return zone


def role_of_type(kind: DataType) -> str:
    """Return ``"number"``, ``"string"``, ``"date"``, ``"timestamp"``, ``"vector"``, or "" for types
    that no feature is made of.
    """
    from pyspark.ml.linalg import VectorUDT
    from pyspark.sql import types as T

    if isinstance(kind, T.NumericType | T.BooleanType):
        return "number"
    if isinstance(kind, T.StringType):
        return "string"
    if isinstance(kind, T.DateType):
        return "date"
    if isinstance(kind, T.TimestampType | T.TimestampNTZType):
        return "timestamp"
    numbers = isinstance(kind, T.ArrayType) and isinstance(kind.elementType, T.NumericType)
    return "vector" if numbers or isinstance(kind, VectorUDT) else ""


@dataclass(frozen=True)
class TableColumn:
    """A column that features are made of.

    Attributes
    ----------
    name : str
    role : {"number", "category", "vector", "date", "timestamp", "text"}
        Numbers, categories and vectors are features as they are.
    outputs : tuple of str
        Columns that hold the features. Of a number it is another column than its own if it has
        values that are infinite, or too large for single precision: they are missing there.
    parts : tuple of str
        Of a date or time: the part that each of the outputs holds.
    origin : int
        Of a date or time: the day, since 1970, from which ``days`` counts.
    width : int
        Of a text: the number of features that words are hashed into.
    ngram : int
        Of a text: words of a phrase at most.
    skewed : bool
        Of a number: whether its tails are heavy.
    missing : float
        Share of missing values.
    distinct : int
        Number of distinct values, or its estimate.
    """

    name: str
    role: Role
    outputs: tuple[str, ...]
    parts: tuple[str, ...] = ()
    origin: int = 0
    width: int = 0
    ngram: int = 1
    skewed: bool = False
    missing: float = 0.0
    distinct: int = 0

    def check_type(self, kind: DataType) -> None:
        """Raise unless the features can be made of a column of this type.

        Raises
        ------
        DataError
            ``column_type``.
        """
        found = role_of_type(kind)
        fits = {
            "category": found in ("string", "number"),
            "text": found == "string",
        }.get(self.role, found == self.role)
        if not fits:
            raise DataError(
                "column_type",
                f"The column {self.name!r} is of type {kind.simpleString()}, and was a "
                f"{self.role} when the features were fitted.",
                "Read the data in the same way as the training data.",
            )

    def columns(self, kind: DataType, zone: str) -> dict[str, Column]:
        """Return the columns that are added to a table, by name, without those of hashed words.

        Parameters
        ----------
        kind : pyspark.sql.types.DataType
            Type of the column.
        zone : str
            Time zone in which times are read.
        """
        from pyspark.sql import functions as F
        from pyspark.sql.types import DateType, TimestampNTZType

        source = quoted([self.name])[0]
        if self.role in ("date", "timestamp"):
            local: DateKind = "timestamp"
            if isinstance(kind, DateType):
                local = "date"
            elif isinstance(kind, TimestampNTZType):
                local = "timestamp_ntz"
            return {
                output: F.expr(date_part(source, local, part, zone, self.origin))
                for output, part in zip(self.outputs, self.parts, strict=True)
            }
        if self.role == "number" and self.outputs[0] != self.name:
            number = f"cast({source} as double)"
            return {self.outputs[0]: F.expr(f"if(abs({number}) <= {LARGEST!r}D, {number}, null)")}
        if self.role == "text":
            return {self.outputs[1]: F.expr(number_of_words(source))}
        return {}

    def text(self) -> HashedText:
        """Return how the words of a text become the first of its outputs."""
        return HashedText(quoted([self.name])[0], self.width, self.ngram)

    def to_dict(self) -> dict[str, Any]:
        """Return the column as JSON values."""
        found = asdict(self)
        return {k: list(v) if isinstance(v, tuple) else v for k, v in found.items()}

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> TableColumn:
        """Return the column of JSON values; raise KeyError, TypeError or ValueError for others."""
        from sparkml_dist.automl.date_parts import PARTS

        found = cls(
            name=text(value["name"], "name"),
            role=one_of(value["role"], "role", get_args(Role)),
            outputs=tuple(text(x, "outputs") for x in items(value["outputs"], "outputs")),
            parts=tuple(one_of(x, "parts", PARTS) for x in items(value["parts"], "parts")),
            origin=whole(value["origin"], "origin"),
            width=natural(value["width"], "width", MOST_WORD_FEATURES),
            ngram=natural(value["ngram"], "ngram", 2),
            skewed=bool(value["skewed"]),
            missing=float(value["missing"]),
            distinct=natural(value["distinct"], "distinct"),
        )
        expected = {"date": len(found.parts), "timestamp": len(found.parts), "text": 2}
        if len(found.outputs) != expected.get(found.role, 1):
            raise ValueError(f"{found.name!r} has {len(found.outputs)} outputs")
        if found.role == "text" and not (found.width and found.ngram):
            raise ValueError(f"{found.name!r} has no features")
        return found
