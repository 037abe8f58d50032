"""Rows of numbers from rows of anything."""

from __future__ import annotations

import math
from typing import Any

import numpy.typing as npt

__all__ = ["flat_rows"]


def flat_rows(rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return an array of shape (n, …) as one of shape (n, k); n may be 0, and k is 1 for (n,)."""
    return rows.reshape(len(rows), math.prod(rows.shape[1:]))
