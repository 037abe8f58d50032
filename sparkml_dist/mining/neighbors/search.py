"""Nearest points of queries: among all, or among the cells around each query."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.mining.neighbors.blocks import Block, Blocks

__all__ = ["nearest", "nearest_cells", "nearest_in_cells"]

Doubles = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

#: How many more than k candidates are compared in double precision.
_SPARE = 6
_TILE = 1 << 22


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
    Each block is searched by scikit-learn: with a tree in few dimensions, or by blocked matrix
    products; the best of the blocks are merged.
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
    An inverted file (Jégou, Douze, Schmid 2011) without quantization. Queries are gathered by
    cell, so that a cell is one matrix product in single precision. A first round over each
    query's own cell bounds the distance of its k-th neighbour; the second keeps what is nearer
    than that, and the best are compared in double precision.
    """
    origin = centres.mean(axis=0)
    q = (queries - origin).astype(np.float32)
    cells = nearest_cells(q, (centres - origin).astype(np.float32), probes)
    bound = np.full(len(q), np.inf, dtype=np.float32)
    for x, _, who in _visits(blocks, cells[:, :1], origin):
        if len(x) >= k:
            for piece, far in _tiles(q, who, x):
                kth = np.partition(far, k - 1, axis=1)[:, k - 1]
                bound[piece] = np.minimum(bound[piece], kth)
    # Norms of the query are left out on both sides; single precision errs by less than this.
    scale = np.einsum("ij,ij->i", q, q)
    bound += 1e-5 * (np.abs(bound) + scale)
    found: list[tuple[Any, Any, Any]] = []
    for x, rows, who in _visits(blocks, cells, origin):
        for piece, far in _tiles(q, who, x):
            near = _true_places(far <= bound[piece][:, None])
            at, point = np.divmod(near, len(x))
            found.append((piece[at], rows[point], far.ravel()[near]))
    return _sorted(queries, blocks, _best(found, len(q), k + _SPARE), k)


def _visits(blocks: Blocks, cells: npt.NDArray[np.int64], origin: Doubles) -> Any:
    """Yield (points, their numbers, queries that visit) for each cell of each block."""
    probes = cells.shape[1]
    order = np.argsort(cells, axis=None, kind="stable")
    visited = cells.ravel()[order]
    who = order // probes
    for block in blocks:
        for cell, of_cell in _by_cell(block):
            low, high = np.searchsorted(visited, [cell, cell + 1])
            if low < high:
                x = (block.x[of_cell] - origin).astype(np.float32)
                yield x, of_cell + block.base, who[low:high]


def _by_cell(block: Block) -> Any:
    order = np.argsort(block.cell, kind="stable")
    cells, start = np.unique(block.cell[order], return_index=True)
    return zip(cells.tolist(), np.split(order, start[1:]), strict=True)


def _tiles(q: Singles, who: npt.NDArray, x: Singles) -> Any:
    """Yield queries and ‖x‖² − 2qx, a bounded number at a time."""
    norms = np.einsum("ij,ij->i", x, x)
    twice = -2.0 * x.T
    step = max(1, _TILE // len(x))
    for start in range(0, len(who), step):
        piece = who[start : start + step]
        far = q[piece] @ twice
        far += norms
        yield piece, far


def _true_places(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Return the places of a flattened mask that are true, fast where they are rare."""
    flat = mask.ravel()
    whole = len(flat) // 8 * 8
    words = np.flatnonzero(flat[:whole].view(np.uint64))  # eight at a time
    hits = np.flatnonzero(flat[:whole].reshape(-1, 8)[words].ravel())
    places = words[hits // 8] * 8 + hits % 8
    return np.concatenate([places, whole + np.flatnonzero(flat[whole:])])


def _best(found: list[tuple[Any, Any, Any]], m: int, k: int) -> Rows:
    """Return the numbers of the k nearest candidates of each query, −1 where there are fewer."""
    out = np.full((m, k), -1, dtype=np.int64)
    query = np.concatenate([f[0] for f in found]) if found else np.empty(0, np.int64)
    if not len(query):
        return out
    rows = np.concatenate([f[1] for f in found])
    far = np.concatenate([f[2] for f in found])
    order = np.lexsort((far, query))
    query, rows = query[order], rows[order]
    start = np.searchsorted(query, np.arange(m))
    rank = np.arange(len(query)) - start[query]
    near = rank < k
    out[query[near], rank[near]] = rows[near]
    return out


def _sorted(queries: Doubles, blocks: Blocks, rows: Rows, k: int) -> tuple[Doubles, Rows]:
    squared = blocks.squared_distances(queries, rows)
    order = np.lexsort((rows, squared), axis=1)[:, :k]
    return np.take_along_axis(squared, order, axis=1), np.take_along_axis(rows, order, axis=1)
