"""Decides whether a rank's binned rows fit into its memory."""

from __future__ import annotations

import logging

from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.sizes import parse_size

__all__ = ["check_memory", "keeps_blocks", "row_bytes"]

_logger = logging.getLogger(__name__)

# What XGBoost keeps of each row beside its bins: label, weight, prediction, gradient and hessian,
# and its place among the rows of its node, with the room to sort them: 44 bytes, and what the
# allocator adds. Measured (benchmarks/gang_boost.py).
_STATE = 56
# XGBoost keeps bins by row and by column.
_COPIES = 2
_BIN_OF_SPARSE = 12


def row_bytes(data: PartitionedDataset, max_bin: int, *, external: bool) -> float:
    """Return the bytes that a row takes in a rank's memory during the training.

    Parameters
    ----------
    data : PartitionedDataset
    max_bin : int
    external : bool
        Whether bins are kept on disk.
    """
    if external:
        groups = len(data.manifest.label.classes)
        return _STATE + 12.0 * (groups if groups > 2 else 0)
    state = row_bytes(data, max_bin, external=True)
    if data.layout == "sparse":
        values = sum(s.block_bytes for s in data.shards) / 8 / max(1, data.n_rows)
        return state + _BIN_OF_SPARSE * values
    return state + _COPIES * data.n_features * (1 if max_bin <= 256 else 2)


def check_memory(
    data: PartitionedDataset,
    ranks: int,
    max_bin: int,
    memory: str,
    external: bool | None,
    *,
    given: bool,
) -> bool:
    """Return whether ranks keep their binned rows on disk.

    Parameters
    ----------
    data : PartitionedDataset
    ranks, max_bin : int
    memory : str
        Memory of a rank, like ``"512m"``.
    external : bool or None
        What the caller demands; None to decide by memory.
    given : bool
        Whether the caller gave the memory, so that it is a limit.

    Raises
    ------
    ConfigurationError
        ``memory_too_small`` where the rows do not fit even with their bins on disk.
    """
    limit, rows = parse_size(memory, "memoryPerTask"), -(-data.n_rows // ranks)
    if external is None:
        external = rows * row_bytes(data, max_bin, external=False) > limit
    least = rows * row_bytes(data, max_bin, external=True)
    if external and least > limit:
        wanted = f"{least / 2**20:,.0f} MiB"
        if given:
            raise ConfigurationError(
                "memory_too_small",
                f"memoryPerTask={memory!r} does not hold labels, gradients and predictions of the "
                f"{rows:,} rows of a rank: {wanted}.",
                f"Use more ranks (numRanks), or give '{int(least / 2**20) + 1}m'.",
            )
        _logger.warning(
            "labels, gradients and predictions of the %s rows of a rank take %s",
            f"{rows:,}",
            wanted,
        )
    return external


def keeps_blocks(data: PartitionedDataset, ranks: int, max_bin: int, memory: str) -> bool:
    """Return whether a rank may keep its rows as they were read while it bins them.

    XGBoost asks for them four times, which are readings of the shards otherwise.
    """
    read = sum(s.block_bytes for s in data.shards) / max(1, data.n_rows)
    rows = -(-data.n_rows // ranks)
    needed = rows * (read + row_bytes(data, max_bin, external=False))
    return needed <= parse_size(memory, "memoryPerTask")
