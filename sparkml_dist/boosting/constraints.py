"""Constraints on the features of a tree, from names of columns to XGBoost's form."""

from __future__ import annotations

from typing import Any

from sparkml_dist.dataset.schema import FeatureSchema
from sparkml_dist.errors import ConfigurationError, DataError, nearest

__all__ = ["check_constraints", "interaction_constraints", "monotone_constraints"]


def check_constraints(monotone: Any, interaction: Any) -> None:
    """Raise unless constraints have the form that the estimators take.

    Raises
    ------
    ConfigurationError
        ``invalid_param``.
    """
    if monotone is not None and not (
        isinstance(monotone, dict)
        and all(isinstance(k, str) and v in (-1, 0, 1) for k, v in monotone.items())
    ):
        raise ConfigurationError(
            "invalid_param",
            "monotoneConstraints must be a dict from feature columns to -1, 0 or 1. "
            f"Got {monotone!r}.",
        )
    if interaction is not None and not (
        isinstance(interaction, list | tuple)
        and all(
            isinstance(group, list | tuple) and group and all(isinstance(n, str) for n in group)
            for group in interaction
        )
    ):
        raise ConfigurationError(
            "invalid_param",
            "interactionConstraints must be a list of lists of feature columns. "
            f"Got {interaction!r}.",
        )


def monotone_constraints(value: dict[str, int], schema: FeatureSchema) -> str:
    """Return XGBoost's text, a direction for each feature.

    Raises
    ------
    DataError
        ``column_not_found``.
    ConfigurationError
        ``invalid_param`` for a categorical feature.
    """
    categorical = set(schema.categorical_features)
    found = [0] * schema.n_features
    for name, direction in value.items():
        for feature in _features(name, schema, "monotoneConstraints"):
            if direction and feature in categorical:
                raise ConfigurationError(
                    "invalid_param",
                    f"monotoneConstraints names {name!r}, whose categories have no order.",
                    "Constrain numeric features.",
                )
            found[feature] = int(direction)
    return f"({','.join(map(str, found))})"


def interaction_constraints(value: list[list[str]], schema: FeatureSchema) -> str:
    """Return XGBoost's text, lists of positions of features; raises as `monotone_constraints`."""
    groups = [
        sorted({f for name in group for f in _features(name, schema, "interactionConstraints")})
        for group in value
    ]
    return str(groups)


def _features(name: str, schema: FeatureSchema, param: str) -> list[int]:
    """Return the positions of a column's features, or of the feature with this name."""
    at = 0
    for column in schema.columns:
        if column.name == name:
            return list(range(at, at + column.size))
        at += column.size
    names = schema.feature_names
    if name in names:
        return [names.index(name)]
    known = list(dict.fromkeys([*(c.name for c in schema.columns), *names[:1000]]))
    raise DataError(
        "column_not_found",
        f"{param} names {name!r}, which is not a feature.{nearest(name, known)}",
        f"Features are: {', '.join(known[:12])}.",
    )
