"""Nearest points of queries: among all points, or in the cells around each query."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.mining.neighbors.blocks import Block, Blocks

__all__ = ["nearest", "nearest_cells", "nearest_in_cells"]

Doubles = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

#: Candidates beyond k that are compared in double precision.
_SPARE = 6
_TILE = 1 << 22
# Bound on the relative error of single precision.
_ERROR = np.float32(1e-5)
# Number of nearest cells that the first round visits.
_AROUND = 8


def nearest(queries: Doubles, blocks: Blocks, k: int) -> tuple[Doubles, Rows]:
    """Return the squared distances and numbers of the k nearest points, nearest first.

    Parameters
    ----------
    queries : ndarray of float64, shape (m, width)
    blocks : Blocks
    k : int
        At most the number of points.

    Returns
    -------
    squared : ndarray of float64, shape (m, k)
    rows : ndarray of int64, shape (m, k)

    Notes
    -----
    scikit-learn searches each block: with a tree in few dimensions, else by blocked matrix
    products. The best of all blocks are merged.
    """
    from sklearn.neighbors import NearestNeighbors

    rows = np.full((len(queries), 0), -1, dtype=np.int64)
    distances = np.full((len(queries), 0), np.inf)
    for block in blocks:
        search = NearestNeighbors(n_neighbors=min(k + _SPARE, len(block.x))).fit(block.x)
        of_block, local = search.kneighbors(queries)
        distances = np.concatenate([distances, of_block], axis=1)
        rows = np.concatenate([rows, local + block.base], axis=1)
        if rows.shape[1] > k + _SPARE:
            best = np.argpartition(distances, k + _SPARE - 1, axis=1)[:, : k + _SPARE]
            distances = np.take_along_axis(distances, best, axis=1)
            rows = np.take_along_axis(rows, best, axis=1)
    return _sorted(queries, blocks, rows, k)


def nearest_cells(queries: Singles, centres: Singles, probes: int) -> npt.NDArray[np.int64]:
    """Return the cells whose centres are nearest, nearest first, shape (m, probes)."""
    found = np.empty((len(queries), probes), dtype=np.int64)
    norms = np.einsum("ij,ij->i", centres, centres)
    step = max(1, _TILE // len(centres))
    for start in range(0, len(queries), step):
        far = norms - 2.0 * (queries[start : start + step] @ centres.T)
        if probes < len(centres):
            near = np.argpartition(far, probes - 1, axis=1)[:, :probes]
        else:
            near = np.broadcast_to(np.arange(len(centres)), far.shape)
        order = np.argsort(np.take_along_axis(far, near, axis=1), axis=1)
        found[start : start + step] = np.take_along_axis(near, order, axis=1)
    return found


def nearest_in_cells(
    queries: Doubles, centres: Doubles, blocks: Blocks, k: int, probes: int
) -> tuple[Doubles, Rows]:
    """Return the k nearest points among those of the nearest cells, as `nearest` does.

    Where the cells hold fewer than k points, the last rows are −1 and their distance infinite.

    Notes
    -----
    An inverted file (Jégou, Douze, Schmid 2011) without quantization. Queries are grouped by cell,
    so that a cell takes one matrix product in single precision. A first round over the few cells
    around each query bounds the distance of its k-th neighbour; the second keeps nearer points, and
    the best are compared in double precision.
    """
    origin = centres.mean(axis=0)
    q = (queries - origin).astype(np.float32)
    around, further = _cells_around(q, (centres - origin).astype(np.float32), probes)
    # The query's norm is left out on both sides.
    slack = _ERROR * np.einsum("ij,ij->i", q, q)
    bound = np.full(len(q), np.inf, dtype=np.float32)
    q = np.hstack([q, np.ones((len(q), 1), np.float32)])
    found = _Candidates(len(q), k + _SPARE)
    for x, rows, who in _visits(blocks, around, origin):
        for piece, far in _tiles(q, who, x):
            if len(x) >= k:
                kth = np.partition(far, k - 1, axis=1)[:, k - 1]
                bound[piece] = np.minimum(bound[piece], _loosened(kth, slack[piece]))
            found.add(piece, rows, far, bound)
    if further.any():
        kth = found.best()[1][:, k - 1]
        bound = np.minimum(bound, _loosened(kth, slack))
        for x, rows, who in _visits(blocks, further, origin):
            for piece, far in _tiles(q, who, x):
                found.add(piece, rows, far, bound)
    return _sorted(queries, blocks, found.best()[0], k)


def _loosened(kth: Singles, slack: Singles) -> Singles:
    return np.asarray(kth + _ERROR * np.abs(kth) + slack, np.float32)


def _cells_around(queries: Singles, centres: Singles, probes: int) -> tuple[Mask, Mask]:
    """Return masks of the cells (rows) that each query visits: the nearest few, and the others."""
    norms = np.einsum("ij,ij->i", centres, centres)
    around = np.empty((len(centres), len(queries)), bool)
    further = np.empty_like(around)
    few = min(_AROUND, probes)
    step = max(1, _TILE // len(centres))
    for start in range(0, len(queries), step):
        part = slice(start, start + step)
        far = norms - 2.0 * (queries[part] @ centres.T)
        nearest = np.partition(far, probes - 1, axis=1)[:, :probes]
        inner = far <= np.partition(nearest, few - 1, axis=1)[:, few - 1 : few]
        around[:, part] = inner.T
        further[:, part] = ((far <= nearest[:, -1:]) & ~inner).T
    return around, further


def _visits(blocks: Blocks, visited: Mask, origin: Doubles) -> Any:
    """Yield (points, their numbers, visiting queries) for each cell of each block."""
    for block in blocks:
        for cell, of_cell in _by_cell(block):
            who = np.flatnonzero(visited[cell])
            if len(who):
                x = (block.x[of_cell] - origin).astype(np.float32)
                yield x, of_cell + block.base, who


def _by_cell(block: Block) -> Any:
    order = np.argsort(block.cell, kind="stable")
    cells, start = np.unique(block.cell[order], return_index=True)
    return zip(cells.tolist(), np.split(order, start[1:]), strict=True)


def _tiles(q: Singles, who: npt.NDArray, x: Singles) -> Any:
    """Yield queries and ‖x‖² − 2qx in tiles of bounded size.

    The last column of the queries is 1, which the product multiplies by ‖x‖².
    """
    norms = np.einsum("ij,ij->i", x, x)
    factors = np.vstack([-2.0 * x.T, norms])
    step = max(1, _TILE // len(x))
    for start in range(0, len(who), step):
        piece = who[start : start + step]
        yield piece, q[piece] @ factors


def _true_places(mask: Mask) -> npt.NDArray[np.int64]:
    """Return the true positions of a flattened mask, fast where they are rare."""
    flat = mask.ravel()
    whole = len(flat) // 8 * 8
    eights = flat[:whole].view(np.uint64)
    words = np.flatnonzero(eights != 0)
    hits = np.flatnonzero(eights[words].view(bool))
    places = words[hits // 8] * 8 + hits % 8
    return np.concatenate([places, whole + np.flatnonzero(flat[whole:])])


class _Candidates:
    """Points that may be among the k nearest of some of m queries."""

    def __init__(self, m: int, k: int) -> None:
        self._m, self._k = m, k
        self._found: list[tuple[npt.NDArray, npt.NDArray, npt.NDArray]] = []

    def add(self, piece: npt.NDArray, rows: npt.NDArray, far: Singles, bound: Singles) -> None:
        """Add the pairs of (queries `piece`) × (points `rows`) within the query's bound."""
        near = _true_places(far <= bound[piece][:, None])
        query, point = np.divmod(near, len(rows))
        self._found.append((piece[query], rows[point], far.ravel()[near]))

    def best(self) -> tuple[Rows, Singles]:
        """Return the k nearest of each query and their distances; drop all others.

        Where there are fewer, the last are −1 with an infinite distance.
        """
        out = np.full((self._m, self._k), -1, dtype=np.int64)
        how_far = np.full((self._m, self._k), np.inf, dtype=np.float32)
        if not self._found:
            return out, how_far
        query, rows, far = (np.concatenate(parts) for parts in zip(*self._found, strict=True))
        order = np.argsort(far)
        order = order[_by_number(query[order])]
        query = query[order]
        rank = np.arange(len(query)) - np.searchsorted(query, np.arange(self._m))[query]
        kept = rank < self._k
        order, query, rank = order[kept], query[kept], rank[kept]
        out[query, rank], how_far[query, rank] = rows[order], far[order]
        self._found = [(query, rows[order], far[order])]
        return out, how_far


def _by_number(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the stable sorting order of non-negative integers."""
    # Numpy sorts 16-bit integers by counting, which is much faster than comparing.
    small = int(values.max(initial=0)) < 1 << 16
    return np.argsort(values.astype(np.uint16) if small else values, kind="stable")


def _sorted(queries: Doubles, blocks: Blocks, rows: Rows, k: int) -> tuple[Doubles, Rows]:
    squared = blocks.squared_distances(queries, rows)
    order = np.lexsort((rows, squared), axis=1)[:, :k]
    return np.take_along_axis(squared, order, axis=1), np.take_along_axis(rows, order, axis=1)
