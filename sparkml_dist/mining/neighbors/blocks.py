"""The fitted points, which tasks read block by block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from sparkml_dist.mining.point_columns import point_matrix
from sparkml_dist.persistence.filesystem import Folder

__all__ = ["Block", "Blocks"]


@dataclass(frozen=True)
class Block:
    """Points of one file.

    Attributes
    ----------
    base : int
        Number of the block's first point among all points.
    ids : ndarray, shape (n,)
    x : ndarray of float64, shape (n, width)
    cell : ndarray of int32, shape (n,)
        The cell of each point; 0 without cells.
    """

    base: int
    ids: npt.NDArray[Any]
    x: npt.NDArray[np.float64]
    cell: npt.NDArray[np.int32]


@dataclass
class Blocks:
    """Points in files; sent to the tasks, which read them.

    Attributes
    ----------
    folder : Folder
    names : tuple of str
        Parquet files with ``id``, ``x`` and ``cell``.
    width : int
    n : int
        Number of points.
    memory : int
        Bytes of memory for points; if all fit, they are read once.
    """

    folder: Folder
    names: tuple[str, ...]
    width: int
    n: int
    memory: int
    _held: list[Block] = field(default_factory=list, repr=False)

    @property
    def fit(self) -> bool:
        """Whether all points fit into memory together."""
        return self.n * self.width * 8 <= self.memory

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_held": []}

    def __iter__(self) -> Iterator[Block]:
        """Yield every block that has points, in the order of the files."""
        if self._held:
            yield from self._held
            return
        held = []
        base = 0
        for name in self.names:
            with self.folder.opened(name) as file:
                table = pq.read_table(file, columns=["id", "x", "cell"], use_threads=False)
            if table.num_rows == 0:
                continue
            table = table.combine_chunks()
            block = Block(
                base,
                table.column("id").to_numpy(),
                point_matrix(table.column("x").chunk(0), self.width),
                table.column("cell").to_numpy(),
            )
            base += table.num_rows
            if self.fit:
                held.append(block)
            yield block
        self._held = held

    def take(self, rows: npt.NDArray[np.int64], column: str) -> npt.NDArray[Any]:
        """Return a column of points by number, shape as `rows`; arbitrary values where it is −1."""
        out: npt.NDArray[Any] | None = None
        for block in self:
            values = getattr(block, column)
            if out is None:
                out = np.zeros(rows.shape, dtype=values.dtype)
            here = (rows >= block.base) & (rows < block.base + len(values))
            out[here] = values[rows[here] - block.base]
        assert out is not None  # every model has points
        return out

    def squared_distances(
        self, queries: npt.NDArray[np.float64], rows: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float64]:
        """Return ‖q − x‖² of each query and its points by differences; infinite for −1.

        Parameters
        ----------
        queries : ndarray of float64, shape (m, width)
        rows : ndarray of int64, shape (m, k)
        """
        out = np.full(rows.shape, np.inf)
        for block in self:
            query, at = np.nonzero((rows >= block.base) & (rows < block.base + len(block.x)))
            local = rows[query, at] - block.base
            step = max(1, (1 << 21) // self.width)
            for start in range(0, len(query), step):
                piece = slice(start, start + step)
                difference = queries[query[piece]] - block.x[local[piece]]
                out[query[piece], at[piece]] = np.einsum("ij,ij->i", difference, difference)
        return out
