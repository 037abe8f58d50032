"""Rows held out from members: set in the members' plans, selected by key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from sparkml_dist.dataset.subsets import Subset
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.members.member import MemberPlan

__all__ = ["check_fraction", "part_of", "with_held_out"]


def check_fraction(fraction: float) -> None:
    """Raise unless a validation fraction is between 0 and 1.

    Raises
    ------
    ConfigurationError
        ``invalid_param``.
    """
    if not 0 < fraction < 1:
        raise ConfigurationError(
            "invalid_param", f"validationFraction must be between 0 and 1. Got {fraction}."
        )


def with_held_out(plans: Sequence[MemberPlan], rows: Subset | None) -> list[MemberPlan]:
    """Return the plans with `rows` held out from every member."""
    return [replace(plan, without=rows) for plan in plans]


def part_of(key: npt.NDArray[np.int64], parts: Sequence[Subset]) -> npt.NDArray[np.int64]:
    """Return the index of the first subset that contains each row, shape (n,); -1 for none."""
    found = np.full(len(key), -1)
    for index, part in enumerate(parts):
        found[part.mask(key) & (found < 0)] = index
    return found
