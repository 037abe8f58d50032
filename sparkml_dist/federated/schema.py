"""The schema of a federation: the columns, categories and classes on which its silos agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sparkml_dist.dataset.labels import Label
from sparkml_dist.dataset.schema import FeatureColumn, FeatureSchema
from sparkml_dist.errors import DataError
from sparkml_dist.persistence.fields import mapping, natural, text

__all__ = ["FederatedSchema", "agree"]

# Kinds of labels that fit each other, and the kind that holds both.
_WIDER = {frozenset(("integer", "number")): "number"}


@dataclass(frozen=True)
class FederatedSchema:
    """Columns, categories and classes in the order that all silos use.

    Attributes
    ----------
    features : FeatureSchema
    label : Label
        With the class list of all silos.
    weight : str or None
        Name of the column of row weights, where the silos have one.
    rows : mapping of str to int
        Rows of each silo, at the coordinator, where the silos' policies tell them.
    """

    features: FeatureSchema
    label: Label
    weight: str | None = None
    rows: Mapping[str, int] = field(default_factory=dict)

    @property
    def n_features(self) -> int:
        """Number of features of a row."""
        return self.features.n_features

    @property
    def feature_names(self) -> list[str]:
        """Names of the features, in matrix order."""
        return self.features.feature_names

    @property
    def is_regression(self) -> bool:
        """Whether the label is a real-valued target."""
        return self.label.is_regression

    @property
    def classes(self) -> list[Any]:
        """The class list; empty for a regression."""
        return list(self.label.classes)

    @property
    def n_classes(self) -> int:
        """Number of classes; 0 for a regression."""
        return len(self.label.classes)

    def to_dict(self) -> dict[str, Any]:
        """Return the schema as JSON values."""
        return {
            "features": self.features.to_dict(),
            "label": self.label.to_dict(),
            "weight": self.weight,
            "rows": dict(self.rows),
        }

    @classmethod
    def from_dict(cls, value: Any) -> FederatedSchema:
        """Return the schema of `to_dict`; raise KeyError, TypeError or ValueError for others."""
        weight = value["weight"]
        return cls(
            FeatureSchema.from_dict(mapping(value["features"], "features")),
            Label.from_dict(mapping(value["label"], "label")),
            None if weight is None else text(weight, "weight"),
            {
                text(name, "rows"): natural(count, "rows")
                for name, count in mapping(value["rows"], "rows").items()
            },
        )


def agree(
    schemas: Mapping[str, FederatedSchema], *, columns: str | Sequence[str] = "same"
) -> FederatedSchema:
    """Return the schema that fits all silos.

    Columns come in the order of the first silo by name, categories and classes are the sorted
    union.

    Parameters
    ----------
    schemas : mapping of str to FederatedSchema
        What each silo has.
    columns : {"same", "common"} or sequence of str, default="same"
        ``"same"``: every silo must have the same columns; ``"common"``: those that all have; or the
        names of columns that all must have.

    Raises
    ------
    DataError
        ``silos_differ``, which names the silo and what does not fit; ``no_features``.
    """
    names = sorted(schemas)
    first = schemas[names[0]]
    labels = [schemas[name].label for name in names]
    label = _label(names, labels)
    weights = {schemas[name].weight for name in names}
    if len(weights) > 1:
        odd = next(n for n in names if schemas[n].weight != first.weight)
        raise _differ(
            f"the silo {odd!r} has the weight column {schemas[odd].weight!r}, and {names[0]!r} "
            f"has {first.weight!r}"
        )
    by_silo = {n: {c.name: c for c in schemas[n].features.columns} for n in names}
    wanted = _wanted(names, by_silo, columns)
    agreed = [_column(wanted_name, by_silo) for wanted_name in wanted]
    sparse = any(schemas[n].features.layout == "sparse" for n in names)
    return FederatedSchema(
        FeatureSchema.build(agreed, sparse=sparse, precision="float64"), label, first.weight
    )


def _wanted(
    names: list[str], by_silo: Mapping[str, dict[str, FeatureColumn]], columns: str | Sequence[str]
) -> list[str]:
    """Return the names of the agreed columns, in order."""
    first = list(by_silo[names[0]])
    if columns == "common":
        wanted = [c for c in first if all(c in by_silo[n] for n in names)]
    else:
        wanted = first if columns == "same" else list(columns)
        for name in names:
            if missing := [c for c in wanted if c not in by_silo[name]]:
                raise _differ(f"the silo {name!r} has no column {missing[0]!r}")
            extra = [c for c in by_silo[name] if c not in wanted]
            if extra and columns == "same":
                raise _differ(
                    f"the silo {name!r} has the column {extra[0]!r}, which {names[0]!r} has not"
                )
    if not wanted:
        raise DataError(
            "no_features",
            "The silos have no column in common.",
            "Name the same columns in each silo.",
        )
    return wanted


def _column(name: str, by_silo: Mapping[str, dict[str, FeatureColumn]]) -> FeatureColumn:
    found = [(silo, columns[name]) for silo, columns in sorted(by_silo.items())]
    home, agreed = found[0]
    for silo, column in found[1:]:
        if (column.kind, column.size) != (agreed.kind, agreed.size):
            raise _differ(
                f"the column {name!r} is {_said(column)} in the silo {silo!r}, and "
                f"{_said(agreed)} in {home!r}"
            )
    if agreed.kind == "categorical":
        categories = sorted({c for _, column in found for c in column.categories})
        agreed = replace(agreed, categories=tuple(categories))
    return agreed


def _said(column: FeatureColumn) -> str:
    return column.kind if column.size == 1 else f"{column.kind} of {column.size} values"


def _label(names: list[str], labels: list[Label]) -> Label:
    # A silo without rows has no classes, and its label may be of any kind.
    known = [label for label in labels if label.classes or label.is_regression]
    agreed = known[0] if known else labels[0]
    for name, label in zip(names, labels, strict=True):
        if label.column != agreed.column:
            raise _differ(
                f"the label is {label.column!r} in the silo {name!r}, and {agreed.column!r} in "
                f"{names[0]!r}"
            )
        if label not in known:
            continue
        kind = (
            agreed.kind
            if label.kind == agreed.kind
            else _WIDER.get(frozenset((label.kind, agreed.kind)))
        )
        if kind is None:
            raise _differ(
                f"the label {label.column!r} is of the kind {label.kind!r} in the silo {name!r}, "
                f"and {agreed.kind!r} in {names[0]!r}"
            )
        classes = Label.sort_classes([*{*map(_as(kind), (*agreed.classes, *label.classes))}])
        agreed = Label(label.column, kind, classes)  # type: ignore[arg-type]
    return agreed


def _as(kind: str) -> Any:
    return float if kind == "number" else lambda value: value


def _differ(what: str) -> DataError:
    return DataError(
        "silos_differ",
        f"The silos do not have the same data: {what}.",
        "Name the columns that all have (columns=[…] or 'common'), or change the silo's data.",
    )
