"""The kind of each feature of a matrix, for its preprocessing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from sparkml_dist.automl.date_parts import CYCLES
from sparkml_dist.automl.table_column import TableColumn
from sparkml_dist.dataset.schema import FeatureSchema

__all__ = ["FeatureKind", "feature_kinds"]


@dataclass(frozen=True)
class FeatureKind:
    """What a feature is.

    Attributes
    ----------
    name : {"number", "skewed", "cycle", "count", "category"}
        A number; one with heavy tails; a month, weekday or hour; how often a word occurs; the code
        of a category.
    categories : int
        Number of categories, 0 for others.
    """

    name: Literal["number", "skewed", "cycle", "count", "category"]
    categories: int = 0


def feature_kinds(schema: FeatureSchema, columns: Iterable[TableColumn] = ()) -> list[FeatureKind]:
    """Return the kind of each feature, in the order of the matrix.

    Parameters
    ----------
    schema : FeatureSchema
    columns : iterable of TableColumn
        Of a `TableFeaturesModel`. Features of other columns are numbers, or categories.
    """
    known: dict[str, FeatureKind] = {}
    for column in columns:
        if column.role == "text":
            known[column.outputs[0]] = FeatureKind("count")
        elif column.parts:
            for output, part in zip(column.outputs, column.parts, strict=True):
                known[output] = FeatureKind("cycle" if part in CYCLES else "number")
        elif column.skewed:
            known[column.outputs[0]] = FeatureKind("skewed")
    kinds: list[FeatureKind] = []
    for source in schema.columns:
        if source.kind == "categorical":
            kinds.append(FeatureKind("category", len(source.categories)))
        else:
            kinds += [known.get(source.name, FeatureKind("number"))] * source.size
    return kinds
