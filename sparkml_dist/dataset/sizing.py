"""Chooses the number of shards and the number of rows in a row group."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.sizes import parse_size

__all__ = ["DEFAULT_MEMORY_PER_TASK", "Sizing", "plan_sizing"]

DEFAULT_MEMORY_PER_TASK = "512m"

# A task holds its block, and a learner up to two more copies (in another type or order, or a
# resampled bag).
_BLOCKS_IN_MEMORY = 3
_ROW_GROUP_BYTES = 8 << 20
_MIN_ROW_GROUP_ROWS = 256
_MAX_ROW_GROUP_ROWS = 65_536


@dataclass(frozen=True)
class Sizing:
    """Sizes of a partitioned data set.

    Attributes
    ----------
    shards : int
        Number of shards.
    row_group_rows : int
        Rows in each Parquet row group, the unit in which a shard is streamed.
    """

    shards: int
    row_group_rows: int


def plan_sizing(
    rows: int,
    row_bytes: float,
    *,
    shards: int | None,
    memory_per_task: int | str | None,
) -> Sizing:
    """Choose the number of shards and the size of a row group.

    Parameters
    ----------
    rows : int
        Rows of the data set.
    row_bytes : float
        Bytes of a row as a float32 block in memory.
    shards : int, optional
        Number of shards, when the caller fixes it.
    memory_per_task : int or str, optional
        Memory that a task may use beyond its interpreter, in bytes or like ``"512m"``.

    Returns
    -------
    Sizing

    Raises
    ------
    ConfigurationError
            ``conflicting_params``, ``invalid_param``, or ``memory_too_small`` when
        the budget cannot hold one row group, or ``too_many_shards`` when shards would be empty.
    """
    row_bytes = max(row_bytes, 1.0)
    group = int(_ROW_GROUP_BYTES / row_bytes)
    group = min(max(group, _MIN_ROW_GROUP_ROWS), _MAX_ROW_GROUP_ROWS)
    if shards is not None:
        if memory_per_task is not None:
            raise ConfigurationError(
                "conflicting_params", "Give either shards or memory_per_task, not both."
            )
        if isinstance(shards, bool) or not isinstance(shards, int) or shards < 1:
            raise ConfigurationError(
                "invalid_param", f"shards must be an integer >= 1. Got {shards!r}."
            )
        if shards > rows:
            raise ConfigurationError(
                "too_many_shards",
                f"{rows} rows in {shards} shards would leave some shards empty.",
                f"Use at most {rows} shards.",
            )
        return Sizing(shards, group)
    given = memory_per_task if memory_per_task is not None else DEFAULT_MEMORY_PER_TASK
    block = parse_size(given) / _BLOCKS_IN_MEMORY
    # Less memory gets smaller row groups, down to the smallest that is efficient to read.
    group = min(group, max(_MIN_ROW_GROUP_ROWS, int(block / row_bytes / 4)))
    least = min(group, rows) * row_bytes
    if block < least:
        needed = math.ceil(least * _BLOCKS_IN_MEMORY / 1024)
        raise ConfigurationError(
            "memory_too_small",
            f"memory_per_task={given!r} holds {int(block / row_bytes)} rows of "
            f"{row_bytes:.0f} bytes; the smallest row group has {min(group, rows)}.",
            f"Give at least '{needed}k'.",
        )
    # Shard sizes are binomial: leave room for the largest, five standard deviations out.
    rows_per_shard = block / row_bytes
    room = max(1.0, rows_per_shard - 5 * math.sqrt(rows_per_shard))
    return Sizing(min(rows, max(1, math.ceil(rows / room))), group)
