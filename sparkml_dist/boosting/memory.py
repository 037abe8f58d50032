"""Decides whether a rank's binned rows fit into its memory."""

from __future__ import annotations

import logging
import math

from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.sizes import parse_size

__all__ = [
    "check_memory",
    "external_bytes",
    "keeps_blocks",
    "nodes_at_once",
    "page_bytes",
    "row_bytes",
]

_logger = logging.getLogger(__name__)

# What XGBoost keeps of each row in memory, beside its bins (xgboost 3.2, `hist` on a CPU):
# its label, and its number among the rows of its node; of each tree of a round, the margin, a copy
# of it that metrics are computed from, gradient and hessian. Measured by benchmarks/gang_boost.py.
_LABEL, _ROW_NUMBER, _OF_TREE = 4, 8, 16
# To split the rows of a node it keeps, for each block of its rows in a page, the numbers of those
# that go left and of those that go right, as if all went to either side.
_BLOCK_ROWS, _SPLIT = 2_048, 16
# XGBoost keeps bins by row and by column.
_COPIES = 2
_BIN_OF_SPARSE = 12
# A page while it is read and binned: as Parquet's columns, as a matrix, and as bins.
_COPIES_OF_PAGE = 3
_LEAST_PAGE, _MOST_PAGE, _LARGEST_SHARE = 4 << 20, 32 << 20, 1 / 8
_SHARE_IN_MEMORY = 1 / 16


def nodes_at_once(policy: str, depth: int, leaves: int) -> float:
    """Return how many nodes of a tree are split at a time, at most.

    Parameters
    ----------
    policy : {"depthwise", "lossguide"}
    depth, leaves : int
        Most levels and leaves of a tree; 0 for no limit.
    """
    if policy == "lossguide":
        return 1
    by_depth = 2.0 ** (depth - 1) if depth else math.inf
    return min(by_depth, max(1.0, leaves / 2) if leaves else math.inf)


def page_bytes(
    data: PartitionedDataset, ranks: int, memory: int, nodes: float, *, external: bool
) -> int:
    """Return how many bytes of rows a rank reads and bins at a time, as they are in memory.

    Each page that bins on disk are read in has buffers of its own, for every node that is split at
    once: a few large pages take less than many small ones, and longer to read.

    Parameters
    ----------
    data : PartitionedDataset
    ranks : int
    memory : int
        Bytes of a rank.
    nodes : float
        Of `nodes_at_once`.
    external : bool
    """
    if not external:
        return round(min(_MOST_PAGE, max(_LEAST_PAGE, _SHARE_IN_MEMORY * memory)))
    rows, row = -(-data.n_rows // ranks), _read_bytes(data)
    of_page = _BLOCK_ROWS * _SPLIT * min(nodes, rows)
    # Pages are at their least sum with their buffers.
    best = math.sqrt(rows * of_page * row / _COPIES_OF_PAGE)
    return round(max(_LEAST_PAGE, min(best, _LARGEST_SHARE * memory)))


def _read_bytes(data: PartitionedDataset) -> float:
    return max(1.0, sum(s.block_bytes for s in data.shards) / max(1, data.n_rows))


def row_bytes(data: PartitionedDataset, max_bin: int) -> float:
    """Return the bytes that a row takes in a rank's memory during the training, bins included.

    Parameters
    ----------
    data : PartitionedDataset
    max_bin : int
    """
    if data.layout == "sparse":
        values = sum(s.block_bytes for s in data.shards) / 8 / max(1, data.n_rows)
        return _state_bytes(data) + _BIN_OF_SPARSE * values
    return _state_bytes(data) + _COPIES * data.n_features * (1 if max_bin <= 256 else 2)


def external_bytes(data: PartitionedDataset, ranks: int, memory: int, nodes: float) -> float:
    """Return the bytes of a rank's memory during the training, with its bins on disk.

    Parameters
    ----------
    data : PartitionedDataset
    ranks : int
    memory : int
        Bytes that the rank may have, which its pages depend on.
    nodes : float
        Of `nodes_at_once`.
    """
    rows = -(-data.n_rows // ranks)
    page = page_bytes(data, ranks, memory, nodes, external=True)
    # A page never has rows of two shards, whose parts are equal.
    longest = min(rows, max(s.rows for s in data.shards))
    page_rows = longest / math.ceil(longest * _read_bytes(data) / page)
    buffers = rows / page_rows * _BLOCK_ROWS * _SPLIT * min(nodes, page_rows)
    return rows * _state_bytes(data) + buffers + _COPIES_OF_PAGE * page_rows * _read_bytes(data)


def _state_bytes(data: PartitionedDataset) -> float:
    classes, weighted = len(data.manifest.label.classes), data.manifest.weight is not None
    trees = classes if classes > 2 else 1
    return _LABEL * (2 if weighted else 1) + _ROW_NUMBER + _OF_TREE * trees + _SPLIT


def check_memory(
    data: PartitionedDataset,
    ranks: int,
    max_bin: int,
    memory: str,
    external: bool | None,
    *,
    given: bool,
    nodes: float,
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
    nodes : float
        Of `nodes_at_once`.

    Raises
    ------
    ConfigurationError
        ``memory_too_small`` where the rows do not fit even with their bins on disk.
    """
    limit, rows = parse_size(memory, "memoryPerTask"), -(-data.n_rows // ranks)
    if external is None:
        external = rows * row_bytes(data, max_bin) > limit
    least = external_bytes(data, ranks, limit, nodes)
    if external and least > limit:
        wanted = f"{least / 2**20:,.0f} MiB"
        if given:
            raise ConfigurationError(
                "memory_too_small",
                f"memoryPerTask={memory!r} does not hold labels, gradients, predictions and places "
                f"in the tree of the {rows:,} rows of a rank: {wanted}.",
                "Use more ranks (numRanks), or a smaller maxDepth, or give "
                f"'{int(least / 2**20) + 1}m'.",
            )
        _logger.warning(
            "what boosting keeps of the %s rows of a rank, with their bins on disk, takes %s",
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
    needed = rows * (read + row_bytes(data, max_bin))
    return needed <= parse_size(memory, "memoryPerTask")
