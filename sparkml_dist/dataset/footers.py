"""A cache of parsed Parquet footers, bounded in bytes."""

from __future__ import annotations

import threading

import pyarrow.parquet as pq

__all__ = ["Footers"]

# Estimate of a parsed footer's bytes per column and row group; pyarrow does not report it.
_CHUNK_BYTES = 900


class Footers:
    """Caches parsed footers, so that a file is not parsed again for each of its row groups.

    Parsing a footer takes as long as reading a few hundred rows. All footers of a large data set
    would take more memory than the rows in use, and grow with the data.

    Parameters
    ----------
    most_bytes : int, default=1 MiB
        Most bytes of all footers together, in memory; a larger footer is not cached.

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
        """Return the footer of a key, or None."""
        with self._lock:
            return self._kept.get(key)

    def keep(self, key: object, footer: pq.FileMetaData) -> None:
        """Add a footer; remove the oldest ones until it fits."""
        size = footer_bytes(footer)
        with self._lock:
            if key in self._kept or size > self._most:
                return
            while self._bytes + size > self._most:
                self._bytes -= footer_bytes(self._kept.pop(next(iter(self._kept))))
            self._kept[key] = footer
            self._bytes += size


def footer_bytes(footer: pq.FileMetaData) -> int:
    """Return an estimate of a parsed footer's bytes in memory."""
    return _CHUNK_BYTES * max(1, footer.num_columns * footer.num_row_groups)
