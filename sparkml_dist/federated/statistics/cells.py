"""Small cells: counts under a minimum are left out inside the silo, and reported as left out."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import ConfigurationError, DataError

__all__ = ["check_minimum", "enough_rows", "least_count", "small_cells"]


def check_minimum(minimum: int) -> int:
    """Return a minimum of a cell's rows; raise `ConfigurationError` unless it is >= 1."""
    if minimum < 1:
        raise ConfigurationError("invalid_param", f"minimumCount must be >= 1. Got {minimum!r}.")
    return int(minimum)


def least_count(silo: Any, facts: Any) -> int:
    """Return the fewest rows of a cell that may leave a silo: its own rule, or a stricter request.

    Parameters
    ----------
    silo : Silo
    facts : mapping
        Of the request; ``minimum`` is what the coordinator asks for.
    """
    return max(int(silo.policy.least_count), int(facts.get("minimum", 1)))


def small_cells(counts: npt.NDArray[Any], minimum: int) -> npt.NDArray[np.int64]:
    """Return 1 for each cell that has rows, but fewer than the minimum."""
    return ((counts > 0) & (counts < minimum)).astype(np.int64)


def enough_rows(rows: int, minimum: int) -> None:
    """Raise `DataError` ``too_few_rows`` where fewer than the minimum of rows take part.

    A minimum of 1 asks for nothing: a silo without rows adds zeros.
    """
    if rows < minimum and minimum > 1:
        raise DataError(
            "too_few_rows",
            f"Fewer than {minimum:,} rows of this silo have all values.",
            "Leave the silo out, or ask for fewer columns.",
        )
