"""The frequent itemsets of one class whose further items fit into a 64-bit mask."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from sparkml_dist.mining.itemsets.itemset_sink import ItemsetSink
from sparkml_dist.mining.itemsets.superset_sums import superset_sums, unpacked

__all__ = ["MaskMiner"]

# With this few items left, the supports of all subsets are computed at once.
_DIRECT = 12


class MaskMiner:
    """Mines one class: a prefix that all its itemsets hold, and up to 63 further items.

    Equal rows are merged at every level. Items that all rows hold are set aside: each itemset
    occurs with and without them. A database with few items left is mined by `superset_sums`.

    Parameters
    ----------
    min_count : int
    sink : ItemsetSink
    """

    def __init__(self, min_count: int, sink: ItemsetSink) -> None:
        self._min_count = min_count
        self._sink = sink
        self._max_length = sink.max_length or 1 << 30

    def mine_masks(
        self,
        prefix: tuple[int, ...],
        items: npt.NDArray,
        masks: npt.NDArray[np.uint64],
        weights: npt.NDArray[np.int64],
        total: int,
    ) -> Iterator[None]:
        """Mine a class given as bit masks; see `mine_bits`.

        Parameters
        ----------
        masks : ndarray of uint64, shape (rows,)
            Bit j is set where the row holds ``items[j]``.
        """
        masks, weights = _merged(masks, weights)
        yield from self.mine_bits(prefix, items, unpacked(masks, len(items)), weights, total)

    def mine_bits(
        self,
        prefix: tuple[int, ...],
        items: npt.NDArray,
        bits: npt.NDArray[np.uint8],
        weights: npt.NDArray[np.int64],
        total: int,
    ) -> Iterator[None]:
        """Mine a class; yield between pieces of work.

        Parameters
        ----------
        prefix : tuple of int
            Item numbers that all rows hold.
        items : ndarray of int, shape (k,)
            Ascending numbers of the further items; each is frequent with the prefix.
        bits : ndarray of uint8, shape (rows, k)
        weights : ndarray of int64, shape (rows,)
        total : int
            Baskets that hold the prefix; rows without further items may be missing.
        """
        yield from self._node(prefix, (), items, bits, weights, total)

    def _node(
        self,
        prefix: tuple[int, ...],
        free: tuple[int, ...],
        items: npt.NDArray,
        bits: npt.NDArray[np.uint8],
        weights: npt.NDArray[np.int64],
        total: int,
    ) -> Iterator[None]:
        if len(items) <= _DIRECT:
            self._direct(prefix, free, items, bits, weights, total)
            yield
            return
        if len(weights) > 64:
            masks, weights = _merged(_packed(bits), weights)
            bits = unpacked(masks, len(items))
        dtype = np.float32 if total < 1 << 24 else np.float64
        X = bits.astype(dtype)
        pairs = np.rint((X * weights[:, None].astype(dtype)).T @ X).astype(np.int64)
        counts = np.diagonal(pairs)
        always = counts == total
        if always.any():
            free = (*free, *(int(item) for item in items[always]))
            rest = np.flatnonzero(~always)
            yield from self._node(prefix, free, items[rest], bits[:, rest], weights, total)
            return
        order = np.argsort(counts, kind="stable")
        can_grow = len(prefix) + 1 < self._max_length
        for done in range(1, len(order) - _DIRECT + 1):
            j = order[done - 1]
            count = int(counts[j])
            later = np.sort(order[done:]) if can_grow else order[:0]
            beside = pairs[j, later]
            perfect = later[beside == count]
            further = later[(beside >= self._min_count) & (beside < count)]
            holding = np.flatnonzero(bits[:, j])
            yield from self._node(
                (*prefix, int(items[j])),
                (*free, *(int(item) for item in items[perfect])),
                items[further],
                bits[holding[:, None], further],
                weights[holding],
                count,
            )
        tail = np.sort(order[len(order) - _DIRECT :])
        self._direct(prefix, free, items[tail], bits[:, tail], weights, total)
        yield

    def _direct(
        self,
        prefix: tuple[int, ...],
        free: tuple[int, ...],
        items: npt.NDArray,
        bits: npt.NDArray[np.uint8],
        weights: npt.NDArray[np.int64],
        total: int,
    ) -> None:
        k = len(items)
        if k:
            powers = (1 << np.arange(k)).astype(np.float32)
            masks = (bits.astype(np.float32) @ powers).astype(np.int64)
            sums = superset_sums(masks, weights, k)[:, 0]
            sums[0] = total
            found = np.flatnonzero(sums >= self._min_count)
            counts = sums[found]
        else:
            found, counts = np.zeros(1, np.int64), np.array([total])
        self._emit(prefix, free, items, found, counts)

    def _emit(
        self,
        prefix: tuple[int, ...],
        free: tuple[int, ...],
        items: npt.NDArray,
        masks: npt.NDArray,
        counts: npt.NDArray,
    ) -> None:
        """Emit the itemsets of the prefix, any subset of `free`, and the items of a mask."""
        if len(prefix) + len(free) + len(items) > self._max_length:
            short = np.bitwise_count(masks) + len(prefix) <= self._max_length
            masks, counts = masks[short], counts[short]
        columns = np.concatenate([items, prefix, free]).astype(np.int32)
        order = np.argsort(columns)
        k, width = len(items), len(columns)
        p = width - len(free)
        step = max(1, (1 << 22) // width)
        for low in range(0, 1 << len(free), max(1, step // max(1, len(masks)))):
            high = min(low + max(1, step // max(1, len(masks))), 1 << len(free))
            choices = unpacked(np.arange(low, high), len(free))
            bits = np.ones((len(choices), len(masks), width), np.uint8)
            bits[:, :, :k] = unpacked(masks, k)
            bits[:, :, p:] = choices[:, None, :]
            flat = bits.reshape(-1, width)[:, order]
            self._sink.add_bits(columns[order], flat, np.tile(counts, len(choices)))


def _packed(bits: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """Return each row's bits as a 64-bit mask."""
    octets = np.zeros((len(bits), 8), np.uint8)
    packed = np.packbits(bits, axis=1, bitorder="little")
    octets[:, : packed.shape[1]] = packed
    return octets.view("<u8").ravel()


def _merged(
    masks: npt.NDArray[np.uint64], weights: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """Return the distinct masks, their weights added."""
    order = np.argsort(masks)
    masks = masks[order]
    first = np.flatnonzero(np.concatenate([[True], masks[1:] != masks[:-1]])[: len(masks)])
    return masks[first], np.add.reduceat(weights[order], first) if len(first) else weights
