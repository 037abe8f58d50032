"""All frequent itemsets of encoded baskets in a worker's memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparkml_dist.mining.itemsets.basket_rows import BasketRows
from sparkml_dist.mining.itemsets.itemset_sink import ItemsetSink
from sparkml_dist.mining.itemsets.mask_miner import MaskMiner
from sparkml_dist.mining.itemsets.pair_counts import (
    EntryPairs,
    dense_matrix,
    is_dense,
    product_counts,
    spanned_counts,
)
from sparkml_dist.mining.itemsets.superset_sums import superset_sums, unpacked

__all__ = ["FrequentMiner"]

# Classes of up to this many further items are mined together by superset sums.
_SMALL = 9
# Further items of a class that fit into the bits of a machine word.
_WIDE = 62
# Cells of one table of pair counts or of superset sums.
_CELLS = 1 << 22
# Most basket entries of one step of the next level.
_ENTRIES = 1 << 22
# A class whose baskets hold this share of its further items is mined as bit masks.
_FILLED = 0.25


@dataclass(frozen=True)
class _Level:
    """Projected databases of classes whose prefixes have equal lengths, side by side.

    Each has a run of codes of its own; a row belongs to one of them.

    Attributes
    ----------
    rows : BasketRows
    labels : ndarray of int32, shape (n_codes,)
        Item number of each code.
    counts : ndarray of int64, shape (n_codes,)
        Baskets that hold the prefix and the item.
    ends : ndarray of int64, shape (n_codes,)
        End of the run of codes of a code's database.
    prefixes : ndarray of int32, shape (n_codes, depth)
        The prefix of a code's database.
    """

    rows: BasketRows
    labels: npt.NDArray[np.int32]
    counts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    prefixes: npt.NDArray[np.int32]


class FrequentMiner:
    """Finds the frequent itemsets whose first item is one of the given ones.

    The search space consists of *classes*: the itemsets with the same prefix. The counts of pairs
    give the further items of a class (as in Eclat, Zaki 2000). For a class with few of them, one
    transform (`superset_sums`) gives the supports of all their subsets, for many classes at a time.
    A larger one becomes a database of bit masks (`MaskMiner`) where its baskets are dense, or else
    one of the databases of the next level, which are mined side by side.

    Parameters
    ----------
    min_count : int
        Baskets that must hold an itemset.
    sink : ItemsetSink
        Receives the itemsets.
    """

    def __init__(self, min_count: int, sink: ItemsetSink) -> None:
        self._min_count = min_count
        self._sink = sink
        self._max_length = sink.max_length or 1 << 30
        self._masks = MaskMiner(min_count, sink)

    def mine(
        self,
        rows: BasketRows,
        labels: npt.NDArray[np.int32],
        counts: npt.NDArray[np.int64],
        firsts: npt.NDArray[np.int64],
        prefix: tuple[int, ...] = (),
    ) -> Iterator[None]:
        """Mine the classes of `firsts`; yield between pieces of work, so that results can be sent.

        Parameters
        ----------
        rows : BasketRows
            Baskets that hold `prefix`, with other items only.
        labels : ndarray of int32, shape (n_codes,)
            Item number of each code. Codes are ranks by ascending frequency; item numbers are in
            the items' natural order.
        counts : ndarray of int64, shape (n_codes,)
            Baskets that hold `prefix` and the item of a code; needed for `firsts` only.
        firsts : ndarray of int64
            Ascending codes, all of them frequent.
        prefix : tuple of int
            Item numbers that are added to all itemsets.
        """
        n_codes = len(labels)
        prefixes = np.broadcast_to(np.array(prefix, np.int32), (n_codes, len(prefix)))
        level = _Level(rows, labels, counts, np.full(n_codes, n_codes), prefixes)
        if is_dense(rows, n_codes) and len(rows) * n_codes <= 4 * _CELLS:
            yield from self._dense(level, firsts)
        else:
            yield from self._mine(level, firsts)

    def _dense(self, level: _Level, firsts: npt.NDArray[np.int64]) -> Iterator[None]:
        """Mine one database whose rows make a small matrix."""
        rows, labels, counts = level.rows, level.labels, level.counts
        pairs = product_counts(rows, len(labels), firsts)
        matrix = dense_matrix(rows, len(labels))
        by_label = np.argsort(labels)
        wide = []
        for first, beside in zip(firsts, pairs, strict=True):
            beside[: first + 1] = 0
            chosen = by_label[beside[by_label] >= self._min_count]
            if len(chosen) > _WIDE:
                wide.append(first)
                continue
            holding = np.flatnonzero(matrix[:, first])
            yield from self._masks.mine_bits(
                (*(int(i) for i in level.prefixes[first]), int(labels[first])),
                labels[chosen],
                matrix[holding[:, None], chosen],
                rows.weights[holding],
                int(counts[first]),
            )
        if wide:
            yield from self._mine(level, np.array(wide))

    def _mine(self, level: _Level, firsts: npt.NDArray[np.int64]) -> Iterator[None]:
        """Mine the classes of the given codes."""
        if level.prefixes.shape[1] + 1 >= self._max_length:
            self._emit_alone(level, firsts)
            return
        spans = level.ends[firsts] - firsts - 1
        block = np.cumsum(spans) // _CELLS
        for number in np.unique(block):
            yield from self._block(level, firsts[block == number])

    def _block(self, level: _Level, firsts: npt.NDArray[np.int64]) -> Iterator[None]:
        n_codes = len(level.labels)
        chosen = np.zeros(n_codes, bool)
        chosen[firsts] = True
        spans = np.where(chosen, level.ends - np.arange(n_codes) - 1, 0)
        starts = np.cumsum(spans) - spans
        base = starts - np.arange(n_codes) - 1
        pairs = spanned_counts(level.rows, base, chosen, int(spans.sum()))
        cells = np.flatnonzero(pairs >= self._min_count)
        first = np.repeat(np.arange(n_codes), spans)[cells]
        second = cells - base[first]
        # From here on, further items of a class are in their natural order.
        order = np.lexsort((level.labels[second], first))
        first, second, beside = first[order], second[order], pairs[cells[order]]
        width = np.bincount(first, minlength=n_codes)
        begin = np.cumsum(width) - width
        place = np.arange(len(first)) - begin[first]
        yield from self._classes(
            level, firsts, base, len(pairs), first, second, beside, place, width, begin
        )

    def _classes(
        self,
        level: _Level,
        firsts: npt.NDArray[np.int64],
        base: npt.NDArray[np.int64],
        size: int,
        first: npt.NDArray[np.int64],
        second: npt.NDArray[np.int64],
        beside: npt.NDArray[np.int64],
        place: npt.NDArray[np.int64],
        width: npt.NDArray[np.int64],
        begin: npt.NDArray[np.int64],
    ) -> Iterator[None]:
        """Mine classes by their sizes, given their frequent pairs."""
        self._emit_alone(level, firsts[width[firsts] == 0])
        entries_below = np.bincount(first, beside, minlength=len(width))
        filled = entries_below >= _FILLED * width * level.counts
        masked = (width > 0) & ((width <= _SMALL) | (filled & (width <= _WIDE)))
        if masked.any():
            bit = np.zeros(size, np.uint64)
            used = masked[first]
            bit[base[first[used]] + second[used]] = np.left_shift(
                np.uint64(1), place[used].astype(np.uint64)
            )
            yield from self._masked(level, masked, base, bit, second, width, begin)
        further = np.flatnonzero((width > 0) & ~masked)
        batch = np.cumsum(entries_below[further]) // _ENTRIES
        for number in np.unique(batch):
            part = np.zeros(len(width), bool)
            part[further[batch == number]] = True
            self._emit_alone(level, np.flatnonzero(part))
            used = part[first]
            yield from self._mine_below(
                level, part, base, size, first[used], second[used], beside[used]
            )

    def _masked(
        self,
        level: _Level,
        masked: npt.NDArray[np.bool_],
        base: npt.NDArray[np.int64],
        bit: npt.NDArray[np.uint64],
        second: npt.NDArray[np.int64],
        width: npt.NDArray[np.int64],
        begin: npt.NDArray[np.int64],
    ) -> Iterator[None]:
        """Mine classes as bit masks."""
        codes = level.rows.codes
        pairs = EntryPairs(level.rows, np.flatnonzero(masked[codes]))
        first_base = base[codes[pairs.entries]]
        masks = np.zeros(len(pairs.entries), np.uint64)
        for taken, right in pairs:
            masks[taken] |= bit[first_base[taken] + codes[right]]
        filled = np.flatnonzero(masks)
        mask, entries = masks[filled], pairs.entries[filled]
        of_class = codes[entries]
        weight = np.repeat(level.rows.weights, level.rows.lengths)[entries]
        of_width = width[of_class]
        for k in range(1, _SMALL + 1):
            same = np.flatnonzero(masked & (width == k))
            rows_k = np.flatnonzero(of_width == k)
            step = max(1, _CELLS >> k)
            for low in range(0, len(same), step):
                part = same[low : low + step]
                column = np.full(len(width), -1, np.int64)
                column[part] = np.arange(len(part))
                at = rows_k if len(same) <= step else rows_k[column[of_class[rows_k]] >= 0]
                sums = superset_sums(mask[at], weight[at], k, column[of_class[at]], len(part))
                sums[0] = level.counts[part]
                items = level.labels[second[begin[part, None] + np.arange(k)]]
                self._emit_table(sums, level, part, items)
                yield
        large = np.flatnonzero(masked & (width > _SMALL))
        if not len(large):
            return
        order = np.argsort(of_class, kind="stable")
        bounds = np.searchsorted(of_class[order], np.stack([large, large + 1]))
        for c, low, high in zip(large, *bounds, strict=True):
            part = order[low:high]
            yield from self._masks.mine_masks(
                (*(int(i) for i in level.prefixes[c]), int(level.labels[c])),
                level.labels[second[begin[c] : begin[c] + width[c]]],
                mask[part],
                weight[part],
                int(level.counts[c]),
            )

    def _mine_below(
        self,
        level: _Level,
        part: npt.NDArray[np.bool_],
        base: npt.NDArray[np.int64],
        size: int,
        first: npt.NDArray[np.int64],
        second: npt.NDArray[np.int64],
        beside: npt.NDArray[np.int64],
    ) -> Iterator[None]:
        """Mine classes by their projected databases on the next level."""
        order = np.lexsort((second, first))
        first, second, beside = first[order], second[order], beside[order]
        below = np.full(size, -1, np.int64)
        below[base[first] + second] = np.arange(len(first))
        codes = level.rows.codes
        pairs = EntryPairs(level.rows, np.flatnonzero(part[codes]))
        first_base = base[codes[pairs.entries]]
        found_at: list[npt.NDArray] = []
        found: list[npt.NDArray] = []
        for taken, right in pairs:
            code = below[first_base[taken] + codes[right]]
            used = np.flatnonzero(code >= 0)
            found_at.append(pairs.entries[taken][used])
            found.append(code[used])
        rows = _collected(found_at, found, level.rows)
        ends = np.searchsorted(first, first, side="right")
        prefixes = np.concatenate(
            [level.prefixes[first], level.labels[first, None]], axis=1, dtype=np.int32
        )
        deeper = _Level(rows, level.labels[second], beside, ends, prefixes)
        yield from self._mine(deeper, np.arange(len(first)))

    def _emit_alone(self, level: _Level, firsts: npt.NDArray[np.int64]) -> None:
        """Emit the itemsets of a prefix and one item."""
        if not len(firsts):
            return
        table = np.concatenate(
            [level.prefixes[firsts], level.labels[firsts, None]], axis=1, dtype=np.int32
        )
        table.sort(axis=1)
        lengths = np.full(len(firsts), table.shape[1], np.int64)
        self._sink.add(lengths, table.ravel(), level.counts[firsts])

    def _emit_table(
        self,
        sums: npt.NDArray[np.int64],
        level: _Level,
        heads: npt.NDArray[np.int64],
        items: npt.NDArray[np.int32],
    ) -> None:
        """Emit the frequent subsets of classes with equally many further items."""
        k = items.shape[1]
        masks, which = np.nonzero(sums >= self._min_count)
        depth = level.prefixes.shape[1] + 1
        if depth + k > self._max_length:
            short = np.bitwise_count(masks) + depth <= self._max_length
            masks, which = masks[short], which[short]
        table = np.concatenate(
            [items, level.prefixes[heads], level.labels[heads, None]], axis=1, dtype=np.int32
        )
        order = np.argsort(table, axis=1)
        bits = np.ones((len(masks), table.shape[1]), np.uint8)
        bits[:, :k] = unpacked(masks, k)
        table = np.take_along_axis(table, order, axis=1)
        bits = np.take_along_axis(bits, order[which], axis=1)
        self._sink.add_bits(table[which], bits, sums[masks, which])


def _collected(
    entries: list[npt.NDArray[np.int64]], codes: list[npt.NDArray[np.int64]], above: BasketRows
) -> BasketRows:
    """Return rows of the codes that occur with each entry, in ascending order.

    Rows of one code are left out: the counts of pairs include them already.
    """
    lengths = np.zeros(len(above.codes), np.int64)
    for at in entries:
        lengths[at] += 1
    lengths[lengths == 1] = 0
    free = np.cumsum(lengths) - lengths
    gathered = np.empty(int(lengths.sum()), np.int32)
    for at, code in zip(entries, codes, strict=True):
        kept = lengths[at] > 0
        at = at[kept]
        gathered[free[at]] = code[kept]
        free[at] += 1
    weights = np.repeat(above.weights, above.lengths)[lengths > 0]
    return BasketRows.from_lengths(lengths[lengths > 0], gathered, weights)
