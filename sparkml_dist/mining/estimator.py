"""Base of the mining estimators: their Params are saved and loaded without pickle."""

from __future__ import annotations

from typing import Any

from sparkml_dist.dataset.column_names import refuse_ambiguous
from sparkml_dist.errors import ConfigurationError, DataError, nearest
from sparkml_dist.models.saved_params import SavedParams

__all__ = ["MiningEstimator", "check_column", "check_fraction", "check_whole"]


class MiningEstimator(SavedParams):
    """Base of the estimators that mine any DataFrame."""


def check_column(df: Any, name: str, role: str) -> Any:
    """Return the type of a column of a DataFrame.

    Raises
    ------
    DataError
        ``column_not_found`` or ``duplicate_columns``.
    """
    refuse_ambiguous(df, [name])
    for field in df.schema.fields:
        if field.name == name:
            return field.dataType
    names = df.schema.names
    shown = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
    raise DataError(
        "column_not_found",
        f"There is no column {name!r} for {role}.{nearest(name, names)}",
        f"Columns are: {shown}.",
    )


def check_fraction(name: str, value: float, *, zero: bool = False) -> None:
    """Raise unless a Param lies in (0, 1], or in [0, 1] if `zero`.

    Raises
    ------
    ConfigurationError
        ``invalid_param``.
    """
    if not ((value >= 0 if zero else value > 0) and value <= 1):
        span = "[0, 1]" if zero else "(0, 1]"
        raise ConfigurationError("invalid_param", f"{name} must be in {span}. Got {value!r}.")


def check_whole(name: str, value: int | None, least: int = 1) -> None:
    """Raise where a Param is set to less than `least`.

    Raises
    ------
    ConfigurationError
        ``invalid_param``.
    """
    if value is not None and value < least:
        raise ConfigurationError("invalid_param", f"{name} must be at least {least}. Got {value}.")
