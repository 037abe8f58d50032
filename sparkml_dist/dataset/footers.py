"""Parsed footers of Parquet files, kept within a number of bytes."""

from __future__ import annotations

import threading

import pyarrow.parquet as pq

__all__ = ["Footers"]

# What a parsed footer takes for each column of each row group, about; pyarrow does not tell.
_CHUNK_BYTES = 900


class Footers:
    """Keeps the footers that were parsed last, so that a file is not parsed for each row group.

    Parsing one takes as long as reading a few hundred rows. All footers of a large data set would
    weigh more than the rows that a training holds, and grow with the data.

    Parameters
    ----------
    most_bytes : int, default=1 MiB
        Bytes that the footers may have between them, as they lie in memory; a larger one is not
        kept.

    Notes
    -----
    Safe to use from several threads.
    """

    def __init__(self, most_bytes: int = 1 << 20) -> None:
        self._most = most_bytes
        self._kept: dict[object, pq.FileMetaData] = {}
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: object) -> pq.FileMetaData | None:
        """Return the footer that was kept under a key; None where there is none."""
        with self._lock:
            return self._kept.get(key)

    def keep(self, key: object, footer: pq.FileMetaData) -> None:
        """Keep a footer, and drop the oldest ones until there is room for it."""
        size = footer_bytes(footer)
        with self._lock:
            if key in self._kept or size > self._most:
                return
            while self._bytes + size > self._most:
                self._bytes -= footer_bytes(self._kept.pop(next(iter(self._kept))))
            self._kept[key] = footer
            self._bytes += size


def footer_bytes(footer: pq.FileMetaData) -> int:
    """Return about how many bytes a parsed footer takes in memory."""
    return _CHUNK_BYTES * max(1, footer.num_columns * footer.num_row_groups)
