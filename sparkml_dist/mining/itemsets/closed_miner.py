"""Closed and maximal itemsets of encoded baskets in a worker's memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparkml_dist.mining.itemsets.basket_rows import BasketRows
from sparkml_dist.mining.itemsets.itemset_sink import ItemsetSink
from sparkml_dist.mining.itemsets.pair_counts import both_sided_counts, dense_matrix

__all__ = ["ClosedMiner"]

# Cells of one table of pair counts.
_TABLE = 1 << 22
# Cells of the boolean matrix of which rows hold which itemsets.
_CELLS = 1 << 20


@dataclass(frozen=True)
class _Class:
    """The baskets of one rarest item, as a matrix over the items that are frequent with it.

    Attributes
    ----------
    head : int
        Item number of the rarest item.
    labels : ndarray of int32, shape (k,)
        Item numbers of the columns, which are in the order of the ranks.
    matrix : ndarray of float, shape (rows, k)
    holders : ndarray of bool, shape (k, rows)
        The transpose of `matrix`.
    weighted : ndarray of float, shape (rows, k)
        `matrix` times the rows' weights.
    """

    head: int
    labels: npt.NDArray[np.int32]
    matrix: npt.NDArray
    holders: npt.NDArray[np.bool_]
    weighted: npt.NDArray


@dataclass
class _Nodes:
    """Closed itemsets, and their extensions that are still to be tried.

    Attributes
    ----------
    held : ndarray of bool, shape (m, rows)
        Rows that hold an itemset.
    closure : ndarray of bool, shape (m, k)
        Items of an itemset.
    counts : ndarray of int64, shape (m, k)
        Baskets that hold the itemset and the item of a column.
    node, column : ndarray of int64
        Extensions to try.
    """

    held: npt.NDArray[np.bool_]
    closure: npt.NDArray[np.bool_]
    counts: npt.NDArray[np.int64]
    node: npt.NDArray[np.int64]
    column: npt.NDArray[np.int64]


class ClosedMiner:
    """Finds the closed itemsets, or the maximal ones, by their rarest item.

    An itemset is *closed* when no other one that holds it has the same support, and *maximal* when
    no other one that holds it is frequent. Both follow from the baskets of an itemset's rarest
    item, with all their items. Closed itemsets are generated from one another, each once, by
    prefix-preserving closure extension (LCM, Uno et al. 2004); the supports of many extensions are
    one matrix product. For maximal itemsets, a branch whose items are frequent all together is not
    searched (Bayardo 1998).

    Parameters
    ----------
    min_count : int
    sink : ItemsetSink
    maximal : bool, default=False
    """

    def __init__(self, min_count: int, sink: ItemsetSink, *, maximal: bool = False) -> None:
        self._min_count = min_count
        self._sink = sink
        self._maximal = maximal
        self._max_length = sink.max_length or 1 << 30
        self._prefix: tuple[int, ...] = ()

    def mine(
        self,
        rows: BasketRows,
        labels: npt.NDArray[np.int32],
        counts: npt.NDArray[np.int64],
        firsts: npt.NDArray[np.int64],
        prefix: tuple[int, ...] = (),
    ) -> Iterator[None]:
        """Mine the itemsets whose rarest item is one of `firsts`; yield between pieces of work.

        Parameters
        ----------
        rows : BasketRows
            All frequent items of the baskets that hold one of `firsts`. With a `prefix`, only the
            baskets that hold it too, without its items.
        labels, counts, firsts : ndarray
            As `FrequentMiner.mine` takes them.
        prefix : tuple of int, default=()
            Item numbers that are added to every itemset. An itemset is closed, or maximal, if it is
            so without them among the baskets that hold them.
        """
        self._prefix = prefix
        self._max_length = (self._sink.max_length or 1 << 30) - len(prefix)
        n_codes = len(labels)
        by_code = np.argsort(rows.codes, kind="stable")
        bounds = np.searchsorted(rows.codes[by_code], np.arange(n_codes + 1))
        step = max(1, _TABLE // max(1, n_codes))
        for low in range(0, len(firsts), step):
            block = firsts[low : low + step]
            pairs = both_sided_counts(rows, n_codes, block)
            for first, beside in zip(block, pairs, strict=True):
                count = int(counts[first])
                partners = np.flatnonzero(beside >= self._min_count)
                if (beside[partners[partners < first]] == count).any():
                    continue  # no itemset of this class is closed without that earlier item
                entries = by_code[bounds[first] : bounds[first + 1]]
                yield from self._class(
                    rows, entries, int(first), count, partners, beside[partners], labels
                )

    def _class(
        self,
        rows: BasketRows,
        entries: npt.NDArray[np.int64],
        first: int,
        count: int,
        partners: npt.NDArray[np.int64],
        beside: npt.NDArray[np.int64],
        labels: npt.NDArray[np.int32],
    ) -> Iterator[None]:
        earlier = int(np.searchsorted(partners, first))
        closure = (beside == count)[None, :]
        head, columns = int(labels[first]), labels[partners]
        if int(closure.sum()) + 1 > self._max_length:
            return
        reach = ~closure[0] & (np.arange(len(partners)) >= earlier)
        if not reach.any():
            self._emit(head, columns, closure, beside[None, :], np.array([count]))
            yield
            return
        holding = np.searchsorted(rows.offsets, entries, side="right") - 1
        matrix, weights = _matrix(rows.take(holding), partners, len(labels))
        dtype = np.float32 if count < 1 << 24 else np.float64
        data = matrix.astype(dtype)
        holders = np.ascontiguousarray(matrix.T).view(bool)
        part = _Class(head, columns, data, holders, data * weights[:, None].astype(dtype))
        root = _Nodes(
            np.ones((1, len(matrix)), bool),
            closure,
            beside[None, :],
            np.zeros(int(reach.sum()), np.int64),
            np.flatnonzero(reach),
        )
        cores = np.array([earlier])
        if self._maximal:
            root = self._look_ahead(part, root, cores)
        self._emit(head, columns, closure, beside[None, :], np.array([count]))
        yield from self._search(part, root)

    def _search(self, part: _Class, root: _Nodes) -> Iterator[None]:
        """Search the extensions depth first, many at a time."""
        stack = [root]
        step = max(1, _CELLS // max(part.matrix.shape))
        while stack:
            nodes = stack[-1]
            node, column = nodes.node[:step], nodes.column[:step]
            nodes.node, nodes.column = nodes.node[step:], nodes.column[step:]
            if not len(nodes.node):
                stack.pop()
            if len(node):
                children = self._extended(part, nodes, node, column)
                if len(children.node):
                    stack.append(children)
                yield

    def _extended(
        self,
        part: _Class,
        nodes: _Nodes,
        node: npt.NDArray[np.int64],
        column: npt.NDArray[np.int64],
    ) -> _Nodes:
        """Emit the closed itemsets that extend `nodes`; return them with their extensions."""
        held = nodes.held[node] & part.holders[column]
        support = nodes.counts[node, column]
        counts = np.rint(held.astype(part.matrix.dtype) @ part.weighted).astype(np.int64)
        closure = counts == support[:, None]
        place = np.arange(closure.shape[1])
        before = place < column[:, None]
        kept = ~(closure & before & ~nodes.closure[node]).any(axis=1)
        kept &= closure.sum(axis=1) + 1 <= self._max_length
        held, counts, closure = held[kept], counts[kept], closure[kept]
        support, column = support[kept], column[kept]
        reach = (place > column[:, None]) & ~closure & (counts >= self._min_count)
        self._emit(part.head, part.labels, closure, counts, support)
        found = _Nodes(held, closure, counts, *np.nonzero(reach))
        return self._look_ahead(part, found, column) if self._maximal else found

    def _emit(
        self,
        head: int,
        labels: npt.NDArray[np.int32],
        closure: npt.NDArray[np.bool_],
        counts: npt.NDArray[np.int64],
        support: npt.NDArray[np.int64],
    ) -> None:
        if self._maximal:
            largest = ~(~closure & (counts >= self._min_count)).any(axis=1)
            closure, support = closure[largest], support[largest]
        columns = np.append(labels, [head, *self._prefix])
        order = np.argsort(columns)
        bits = np.ones((len(closure), len(columns)), np.uint8)
        bits[:, : len(labels)] = closure
        self._sink.add_bits(columns[order], bits[:, order], support)

    def _look_ahead(self, part: _Class, nodes: _Nodes, cores: npt.NDArray[np.int64]) -> _Nodes:
        """Emit the branches whose items are frequent all together; return the others.

        The set of all items of such a branch contains all its itemsets, so that only its closure
        can be maximal.
        """
        if not len(nodes.node):
            return nodes
        branches = np.unique(nodes.node)
        tail = np.zeros(nodes.closure.shape, part.matrix.dtype)
        tail[nodes.node, nodes.column] = 1
        tail = tail[branches]
        lacking = tail.sum(axis=1)[:, None] - tail @ part.matrix.T
        held = nodes.held[branches] & (lacking < 0.5)
        counts = np.rint(held.astype(part.matrix.dtype) @ part.weighted).astype(np.int64)
        # The count of the branch's last item is the number of baskets that hold all of it.
        some = np.argmax(tail, axis=1)
        support = counts[np.arange(len(branches)), some]
        whole = support >= self._min_count
        closure = counts == support[:, None]
        before = np.arange(closure.shape[1]) < cores[branches, None]
        fits = whole & ~(closure & before & ~nodes.closure[branches]).any(axis=1)
        fits &= closure.sum(axis=1) + 1 <= self._max_length
        self._emit(part.head, part.labels, closure[fits], counts[fits], support[fits])
        open_ = np.ones(len(nodes.held), bool)
        open_[branches[whole]] = False
        left = open_[nodes.node]
        nodes.node, nodes.column = nodes.node[left], nodes.column[left]
        return nodes


def _matrix(
    rows: BasketRows, columns: npt.NDArray[np.int64], n_codes: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return the distinct rows as 0/1 over the given columns, and their weights."""
    place = np.full(n_codes, -1, np.int32)
    place[columns] = np.arange(len(columns))
    codes = place[rows.codes]
    short = BasketRows(rows.offsets, codes, rows.weights).restricted(codes >= 0).merged()
    return dense_matrix(short, len(columns)), short.weights
