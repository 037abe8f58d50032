"""Core points and their connected components, in one process and bounded memory."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

__all__ = ["core_components", "core_mask", "linked_labels"]

Points = npt.NDArray[np.float64]
# Most coordinates for a grid of cells; with more, a cell has too many neighbours.
_GRID_WIDTH = 3
# Pairs that are compared at a time: of points, and of cells (which should stay in a core's cache).
_PAIRS, _CELL_PAIRS = 1 << 21, 1 << 17


class _Grid:
    """Points sorted into cells so small that all points of a cell are neighbours.

    Side ``eps / sqrt(d)``, as in Gunawan (2013) and Gan and Tao (2015).
    """

    def __init__(self, points: Points, eps: float) -> None:
        width = points.shape[1]
        # Slightly smaller, so that rounding cannot put a cell's corners further apart than eps.
        self.side = eps / math.sqrt(width) * (1 - 1e-9)
        self.reach = math.ceil(math.sqrt(width))
        cells = np.floor((points - points.min(axis=0)) / self.side) + self.reach
        sizes = cells.max(axis=0) + 2 * self.reach + 1
        self.fits = bool(np.prod(sizes) < 2.0**62)
        if not self.fits:
            return
        strides = np.append(np.cumprod(sizes[:0:-1])[::-1], 1).astype(np.int64)
        keys = cells.astype(np.int64) @ strides
        self.order = np.argsort(keys, kind="stable")
        self.keys, self.starts, self.counts = np.unique(
            keys[self.order], return_index=True, return_counts=True
        )
        self.strides = strides
        self.width = width

    def steps(self) -> list[int]:
        """Return the key differences to those neighbouring cells that have greater keys."""
        found = []
        for offset in itertools.product(range(-self.reach, self.reach + 1), repeat=self.width):
            gap = math.hypot(*(max(abs(o) - 1, 0) for o in offset)) * self.side
            step = int(np.dot(offset, self.strides))
            if step > 0 and gap <= self.side * math.sqrt(self.width) * (1 + 1e-6):
                found.append(step)
        return found


def core_mask(points: Points, own: int, eps: float, least: int) -> npt.NDArray[np.bool_]:
    """Return which of the first `own` points have at least `least` points within `eps`.

    Parameters
    ----------
    points : ndarray of float64, shape (n, d)
        The task's own points, then all others within `eps` of them.
    own : int
    eps : float
    least : int
        Least number of neighbours, the point itself included.

    Returns
    -------
    ndarray of bool, shape (own,)
    """
    core = np.zeros(own, bool)
    if not own or len(points) < least:
        return core
    if points.shape[1] <= _GRID_WIDTH:
        grid = _Grid(points, eps)
        if grid.fits:
            dense = np.empty(len(points), bool)
            dense[grid.order] = np.repeat(grid.counts >= least, grid.counts)
            core = dense[:own]
    open_ = np.flatnonzero(~core)
    if len(open_):
        distinct, back, weights = _distinct(points)
        tree = _tree(distinct)
        asked, which = np.unique(back[open_], return_inverse=True)
        if (weights == 1).all():
            number = tree.query_ball_point(distinct[asked], eps, return_length=True)
        else:
            number = np.zeros(len(asked), np.int64)
            for rows, lists, lengths in _balls(tree, distinct[asked], eps):
                number[rows] = np.add.reduceat(
                    weights[lists], np.append(0, np.cumsum(lengths)[:-1])
                )
        core[open_] = (number >= least)[which]
    return core


def core_components(points: Points, eps: float) -> npt.NDArray[np.int32]:
    """Return the number, from 0, of each point's component in the graph of pairs within `eps`.

    Parameters
    ----------
    points : ndarray of float64, shape (n, d)
    eps : float

    Returns
    -------
    ndarray of int32, shape (n,)
    """
    if not len(points):
        return np.empty(0, np.int32)
    if points.shape[1] <= _GRID_WIDTH:
        grid = _Grid(points, eps)
        if grid.fits:
            labels = np.empty(len(points), np.int32)
            labels[grid.order] = np.repeat(_cell_components(grid, points, eps), grid.counts)
            return labels
    distinct, back, _ = _distinct(points)
    tree = _tree(distinct)
    labels = np.arange(len(distinct), dtype=np.int32)
    for rows, lists, lengths in _balls(tree, distinct, eps):
        labels = linked_labels(labels, np.repeat(rows, lengths), lists)
    return labels[back]


def linked_labels(
    labels: npt.NDArray[np.int32], first: npt.NDArray, second: npt.NDArray
) -> npt.NDArray[np.int32]:
    """Return labels, from 0, after merging the labels of the given pairs of positions."""
    size = int(labels.max()) + 1
    pairs = np.unique(labels[first].astype(np.int64) * size + labels[second])
    graph = sp.coo_matrix(
        (np.ones(len(pairs), bool), (pairs // size, pairs % size)), shape=(size, size)
    )
    components: npt.NDArray[np.int32] = connected_components(graph, directed=False)[1]
    return components[labels]


def _cell_components(grid: _Grid, points: Points, eps: float) -> npt.NDArray[np.int32]:
    """Return the component of each cell; all points are core points."""
    ordered = points[grid.order]
    low = np.minimum.reduceat(ordered, grid.starts)
    high = np.maximum.reduceat(ordered, grid.starts)
    limit = eps * eps
    labels = np.arange(len(grid.keys), dtype=np.int32)
    sure: list[npt.NDArray] = []
    unsure: list[npt.NDArray] = []
    for step in grid.steps():
        at = np.searchsorted(grid.keys, grid.keys + step)
        a = np.flatnonzero(grid.keys[np.minimum(at, len(at) - 1)] == grid.keys + step)
        b = at[a]
        gap = np.maximum(np.maximum(low[b] - high[a], low[a] - high[b]), 0)
        near = (gap**2).sum(axis=1) <= limit
        a, b = a[near], b[near]
        span = np.maximum(high[a], high[b]) - np.minimum(low[a], low[b])
        certain = (span**2).sum(axis=1) <= limit
        sure.append(np.stack([a[certain], b[certain]]))
        unsure.append(np.stack([a[~certain], b[~certain]]))
    if not sure:
        return labels
    labels = linked_labels(labels, *np.concatenate(sure, axis=1))
    a, b = np.concatenate(unsure, axis=1)
    products = grid.counts[a] * grid.counts[b]
    cheap = np.argsort(products, kind="stable")
    a, b = a[cheap], b[cheap]
    done = 0
    while done < len(a):
        # Pairs whose cells are merged already are skipped. Small pairs go first: they are cheap and
        # merge most.
        apart = labels[a[done:]] != labels[b[done:]]
        a, b, done = a[done:][apart], b[done:][apart], 0
        if not len(a):
            break
        total = np.cumsum(grid.counts[a] * grid.counts[b])
        done = max(1, int(np.searchsorted(total, _CELL_PAIRS, side="right")))
        linked = _touching(grid, ordered, a[:done], b[:done], limit)
        labels = linked_labels(labels, a[:done][linked], b[:done][linked])
    return labels


def _touching(
    grid: _Grid, ordered: Points, a: npt.NDArray, b: npt.NDArray, limit: float
) -> npt.NDArray[np.bool_]:
    """Return for pairs of cells whether two of their points are neighbours."""
    if len(a) == 1 and grid.counts[a[0]] * grid.counts[b[0]] > _CELL_PAIRS:
        one, other = (
            ordered[grid.starts[c] : grid.starts[c] + grid.counts[c]] for c in (a[0], b[0])
        )
        reach = math.sqrt(limit)
        near, at = _tree(one).query(other, distance_upper_bound=reach * (1 + 1e-9))
        met = np.flatnonzero(np.isfinite(near))
        return np.array([(((one[at[met]] - other[met]) ** 2).sum(axis=1) <= limit).any()])
    sizes = grid.counts[a] * grid.counts[b]
    pair = np.repeat(np.arange(len(a)), sizes)
    within = np.arange(len(pair)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    many = grid.counts[b][pair]
    i = grid.starts[a][pair] + within // many
    j = grid.starts[b][pair] + within % many
    close = ((ordered[i] - ordered[j]) ** 2).sum(axis=1) <= limit
    return np.bincount(pair[close], minlength=len(a)) > 0


def _tree(points: Points) -> cKDTree:
    # Unbalanced: median splits are slow where many points are equal on an axis.
    return cKDTree(points, balanced_tree=False)


def _distinct(points: Points) -> tuple[Points, npt.NDArray, npt.NDArray[np.int64]]:
    """Return the distinct points, each point's position among them, and their counts."""
    order = np.lexsort(points.T)
    ordered = points[order]
    new = np.append(True, (ordered[1:] != ordered[:-1]).any(axis=1))
    back = np.empty(len(points), np.int64)
    back[order] = np.cumsum(new) - 1
    return ordered[new], back, np.bincount(back)


def _balls(
    tree: cKDTree, points: Points, eps: float
) -> Iterator[tuple[npt.NDArray, npt.NDArray, npt.NDArray]]:
    """Yield positions of points, their neighbours (concatenated) and the neighbours' counts."""
    step = 65536
    for start in range(0, len(points), step):
        lengths = tree.query_ball_point(points[start : start + step], eps, return_length=True)
        done, ends = 0, np.cumsum(lengths)
        while done < len(lengths):
            before = ends[done - 1] if done else 0
            end = max(done + 1, int(np.searchsorted(ends, before + _PAIRS, side="right")))
            found = tree.query_ball_point(points[start + done : start + end], eps)
            flat = np.fromiter(itertools.chain.from_iterable(found), np.int64)
            yield np.arange(start + done, start + end), flat, lengths[done:end]
            done = end
