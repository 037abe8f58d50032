"""Weighted means over the ranks of one host, in shared memory.

Ranks on one host need no network: each copies its arrays into memory that all have mapped, adds up
its part of the values of all ranks, and copies the result back. That is about three passes over the
gradients; a ring of sockets takes a dozen, and a thread.

The memory is an anonymous file (``memfd``) passed over a Unix socket: it has no name, leaves
nothing behind, and does not count against ``/dev/shm``. Ranks wait for each other in ``recv`` on
socket pairs, which uses no processor time, and fails at once when the rank at the other end has
ended.
"""

from __future__ import annotations

import mmap
import os
import socket
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["BLOCK", "LOST_RANK", "SharedMean", "memory_size"]

Array = npt.NDArray[np.float32]

#: Prefix of every error that the end of another rank causes.
LOST_RANK = "No more shared memory with another rank"

#: Number of values that are processed at a time: a block fits in a processor's cache.
BLOCK = 1 << 18
_BUFFERS = 3
_ALIGN = 64
_LANE = 16  # float32 values of one cache line


class SharedMean:
    """The weighted mean of arrays over ranks of one host.

    The result is equal to the bit on all ranks: each value is summed by one rank, in the order of
    the ranks.

    Parameters
    ----------
    rank, size : int
        This rank, and the number of ranks.
    memory : int
        File descriptor of the shared memory, of `memory_size` bytes; closed by this object.
    peers : sequence of socket
        A socket connected to each other rank.
    timeout : float, optional
        Seconds to wait for the others.

    Notes
    -----
    Block b, counted over all calls, uses buffer b modulo 3. A rank sums its part of block b, copies
    its values of block b + 1 in, synchronises with the other ranks, and copies block b out. When a
    rank overwrites a buffer, all ranks have synchronised since they last read it.
    """

    def __init__(
        self,
        rank: int,
        size: int,
        memory: int,
        peers: Sequence[socket.socket],
        *,
        block: int = BLOCK,
        timeout: float | None = None,
    ) -> None:
        self._rank, self._size, self._peers, self._block = rank, size, list(peers), block
        for peer in self._peers:
            peer.settimeout(timeout)
        with os.fdopen(memory, "r+b", closefd=True) as file:
            self._map = mmap.mmap(file.fileno(), memory_size(size, block))
        values = np.frombuffer(self._map, np.float32).reshape(_BUFFERS, size, block + _LANE)
        self._shared = values[:, :, :block]
        #: After each block: the rank's weight.
        self._weights = values[:, :, block]
        bounds = [i * block // size // _LANE * _LANE for i in range(size)] + [block]
        self._mine = slice(bounds[rank], bounds[rank + 1])
        self._turn = 0

    def __call__(self, arrays: Sequence[Array], weight: float) -> tuple[list[Array], np.float32]:
        """Return ``sum(weight of rank · array of rank) / sum(weight of rank)`` for each array.

        Every rank must call it, with arrays of the same shapes that **already hold** weight times
        value; returns zeros if all weights are 0.

        Parameters
        ----------
        arrays : sequence of ndarray of float32
            Weighted values of this rank; contiguous.
        weight : float
            This rank's weight.

        Returns
        -------
        means : list of ndarray of float32
            New arrays, the same on every rank.
        total : float32
            Sum of the weights.

        Raises
        ------
        ConnectionError
            Another rank has ended, or does not answer in time.
        """
        flat = [a.reshape(-1) for a in arrays]
        results = [_aligned(a.size) for a in flat]
        blocks = _blocks([a.size for a in flat], self._block)
        total = factor = np.float32(0.0)
        self._copy_in(flat, blocks[0], weight)
        self.barrier()
        for number, parts in enumerate(blocks):
            turn = self._turn
            buffer = self._shared[turn % _BUFFERS]
            if number == 0:
                total = np.float32(sum(self._weights[turn % _BUFFERS].tolist()))
                factor = np.float32(1.0) / total if total else factor
            filled = sum(cut.stop - cut.start for _, cut, _ in parts)
            mine = slice(self._mine.start, min(self._mine.stop, filled))
            if mine.start < mine.stop:
                own = buffer[0, mine]
                for other in range(1, self._size):
                    np.add(own, buffer[other, mine], out=own)
                np.multiply(own, factor, out=own)
            # The count continues between calls: others may still read the last block of this one.
            self._turn += 1
            if number + 1 < len(blocks):
                self._copy_in(flat, blocks[number + 1], weight)
            self.barrier()
            for index, cut, at in parts:
                results[index][cut] = buffer[0, at : at + cut.stop - cut.start]
        return [r.reshape(a.shape) for r, a in zip(results, arrays, strict=True)], total

    def barrier(self) -> None:
        """Wait until every rank has called it."""
        try:
            for peer in self._peers:
                peer.sendall(b"\0")
            for peer in self._peers:
                if not peer.recv(1):
                    raise ConnectionError("it has ended")
        except OSError as error:
            what = "it does not answer" if isinstance(error, TimeoutError) else str(error)
            raise ConnectionError(f"{LOST_RANK}: {what}") from error

    def close(self) -> None:
        """Disconnect from the other ranks; their next call fails."""
        for peer in self._peers:
            peer.close()
        self._peers = []

    def _copy_in(
        self, flat: Sequence[Array], parts: list[tuple[int, slice, int]], weight: float
    ) -> None:
        own = self._shared[self._turn % _BUFFERS, self._rank]
        for index, cut, at in parts:
            own[at : at + cut.stop - cut.start] = flat[index][cut]
        self._weights[self._turn % _BUFFERS, self._rank] = weight


def memory_size(size: int, block: int = BLOCK) -> int:
    """Return the bytes of memory that `size` ranks share."""
    return _BUFFERS * size * (block + _LANE) * 4


def _blocks(sizes: Sequence[int], block: int) -> list[list[tuple[int, slice, int]]]:
    """Split concatenated arrays into blocks of (array, its part, position in the block)."""
    found: list[list[tuple[int, slice, int]]] = [[]]
    room = block
    for index, size in enumerate(sizes):
        start = 0
        while start < size:
            if not room:
                found.append([])
                room = block
            stop = min(size, start + room)
            found[-1].append((index, slice(start, stop), block - room))
            room -= stop - start
            start = stop
    return found


def _aligned(size: int) -> Array:
    """Return an array that TensorFlow can use without a copy."""
    raw = np.empty(size * 4 + _ALIGN, np.uint8)
    skip = -raw.ctypes.data % _ALIGN
    return raw[skip : skip + size * 4].view(np.float32)
