"""Rows kept from members: asked for in plans, and checked in what was fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.dataset.subsets import Subset
from sparkml_dist.ensemble.member import MemberPlan
from sparkml_dist.errors import ConfigurationError, DataError

__all__ = ["check_fraction", "kept_from", "part_of", "refuse_leaks"]


def check_fraction(fraction: float) -> None:
    """Raise unless a share of the rows can be kept.

    Raises
    ------
    ConfigurationError
        ``invalid_fraction``.
    """
    if not 0 < fraction < 1:
        raise ConfigurationError(
            "invalid_fraction", f"validationFraction must be between 0 and 1. Got {fraction}."
        )


def kept_from(plans: Sequence[MemberPlan], rows: Subset | None) -> list[MemberPlan]:
    """Return the plans with `rows` kept from every member."""
    return [replace(plan, without=rows) for plan in plans]


def part_of(key: npt.NDArray[np.int64], parts: Sequence[Subset]) -> npt.NDArray[np.int64]:
    """Return the first of several subsets that each row is in, shape (n,); -1 for none."""
    found = np.full(len(key), -1)
    for index, part in enumerate(parts):
        found[part.mask(key) & (found < 0)] = index
    return found


def refuse_leaks(records: Sequence[dict[str, Any]]) -> None:
    """Raise where a member learnt from rows that were to be kept from it.

    That is so where they are all the rows of its shards, so that nothing else was left.

    Parameters
    ----------
    records : sequence of dict
        Of members whose plans keep rows from them.

    Raises
    ------
    DataError
        ``nothing_left``.
    """
    for record in records:
        if record["everything"]:
            shards = ", ".join(map(str, record["shards"]))
            raise DataError(
                "nothing_left",
                f"All rows of shard(s) {shards} are in the part that is kept from "
                f"{record['learner']}: nothing is left for it to learn from.",
                "Set more shardsPerMember, cut fewer shards, or give fewer columns as the key.",
            )
