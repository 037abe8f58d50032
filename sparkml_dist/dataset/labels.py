"""The label: one global class list, known before any member is fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sparkml_dist.dataset.many_columns import quoted
from sparkml_dist.errors import DataError
from sparkml_dist.persistence.fields import items, one_of, text

if TYPE_CHECKING:
    from pyspark.sql import Column

__all__ = ["Label", "LabelKind", "by_position", "class_column"]

LabelKind = Literal["integer", "number", "string", "boolean", "target"]

_ARROW: dict[str, pa.DataType] = {
    "integer": pa.int64(),
    "number": pa.float64(),
    "string": pa.string(),
    "boolean": pa.bool_(),
    "target": pa.float64(),
}
_SPARK_TYPES: dict[str, str] = {
    "integer": "bigint",
    "number": "double",
    "string": "string",
    "boolean": "boolean",
    "target": "double",
}


def by_position(classes: Sequence[Any]) -> bool:
    """Tell whether ``prediction`` is the position of a class, since doubles cannot hold the class.

    True for strings, booleans, and integers beyond 2**53 that doubles cannot represent.
    """
    return any(
        isinstance(c, str | bool) or (isinstance(c, int) and int(float(c)) != c) for c in classes
    )


def class_column(name: str, kind: LabelKind) -> Column:
    """Return a label column of a DataFrame in the type of the class list."""
    from pyspark.sql import functions as F

    values = F.col(quoted([name])[0]).cast(_SPARK_TYPES[kind])
    # Adding 0.0 turns -0.0 into 0.0: Spark's grouping would keep them apart by their bytes.
    return values + F.lit(0.0) if _SPARK_TYPES[kind] == "double" else values


@dataclass(frozen=True)
class Label:
    """The label column and, for classification, its classes.

    Attributes
    ----------
    column : str
        Name of the column.
    kind : {"integer", "number", "string", "boolean", "target"}
        Type of the column; ``"target"`` is the real-valued target of a regression.
    classes : tuple
        All classes, sorted; a row's *code* is its class's position here. Empty for ``"target"``.
    """

    column: str
    kind: LabelKind
    classes: tuple[Any, ...] = ()

    @property
    def is_regression(self) -> bool:
        """Whether the label is a real-valued target."""
        return self.kind == "target"

    def encode(self, values: pa.Array) -> npt.NDArray[Any]:
        """Return the codes of `values`.

        Parameters
        ----------
        values : pyarrow.Array, shape (n,)
            Labels in the column's type.

        Returns
        -------
        ndarray of shape (n,)
            int32 codes, or float64 targets for a regression.

        Raises
        ------
        DataError
            ``label_null`` or ``rows_changed``.
        """
        values = values.cast(_ARROW[self.kind])
        if values.null_count:
            raise DataError(
                "label_null",
                f"The label column {self.column!r} has nulls.",
                "Drop those rows or fill them in.",
            )
        if self.is_regression:
            return values.to_numpy(zero_copy_only=False)
        if self.kind == "number":
            values = pc.add(values, 0.0)  # -0.0 is the class 0.0
        codes = pc.index_in(values, value_set=self.class_array())
        if codes.null_count:
            unknown = values.filter(pc.is_null(codes))[0].as_py()
            raise DataError(
                "rows_changed",
                f"The label column {self.column!r} holds {unknown!r}, which is not one of the "
                f"{len(self.classes)} classes.",
                "The data changed while it was read; partition it again.",
            )
        return codes.to_numpy(zero_copy_only=False).astype(np.int32, copy=False)

    def class_values(self) -> npt.NDArray[np.float64]:
        """Return the value of ``prediction`` for each code, shape (n_classes,).

        The class itself for numeric labels, or its position; see `by_position`.
        """
        if by_position(self.classes):
            return np.arange(len(self.classes), dtype=np.float64)
        return np.asarray(self.classes, dtype=np.float64)

    @property
    def predicted_type(self) -> str | None:
        """Spark's type of ``predictedLabel``; None where there is no such column.

        Strings, and integers whose ``prediction`` is a position, have it.
        """
        if self.kind in ("string", "integer") and by_position(self.classes):
            return _SPARK_TYPES[self.kind]
        return None

    def class_array(self) -> pa.Array:
        """Return the classes in the type of the column, shape (n_classes,)."""
        return pa.array(self.classes, _ARROW[self.kind])

    @staticmethod
    def sort_classes(values: list[Any]) -> tuple[Any, ...]:
        """Return distinct classes in their global order."""
        return tuple(sorted(v + 0.0 if isinstance(v, float) else v for v in values))

    def to_dict(self) -> dict[str, Any]:
        """Return the label's entry in a manifest."""
        return {"column": self.column, "kind": self.kind, "classes": list(self.classes)}

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Label:
        """Return the label of an entry; raise KeyError, TypeError or ValueError for others."""
        kind = one_of(value["kind"], "kind", get_args(LabelKind))
        classes = tuple(items(value["classes"], "classes"))
        label = cls(text(value["column"], "column"), kind, classes)
        if len(set(label.class_array().to_pylist())) != len(classes) or None in classes:
            raise ValueError("classes must differ from each other")
        return label
