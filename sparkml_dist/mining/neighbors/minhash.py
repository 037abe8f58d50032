"""MinHash signatures of sets, divided into bands."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sparkml_dist.dataset.hashing import hash_long, xxhash64

__all__ = ["BandKeys", "Bands"]


@dataclass(frozen=True)
class Bands:
    """The division of signatures: sets that agree in all rows of a band become candidates.

    Attributes
    ----------
    bands, rows : int
        Number of bands, and of hashes in each.
    """

    bands: int
    rows: int

    def recall_at(self, jaccard: float) -> float:
        """Return the probability that two sets of this similarity become candidates.

        1 − (1 − Jʳ)ᵇ (Broder 1997; Leskovec, Rajaraman, Ullman, Mining of Massive Datasets).
        """
        return float(1.0 - (1.0 - jaccard**self.rows) ** self.bands)

    @classmethod
    def choose(cls, threshold: float, recall: float, most_hashes: int) -> Bands | None:
        """Return the most selective bands that reach a recall at the threshold, or None.

        Parameters
        ----------
        threshold : float
            Jaccard similarity at which the recall is reached; it is higher above.
        recall : float
            In (0, 1).
        most_hashes : int
            Most hashes of a signature.
        """
        best = None
        for rows in range(1, most_hashes + 1):
            found = threshold**rows
            needed = 1 if found >= 1 else math.ceil(math.log1p(-recall) / math.log1p(-found))
            if needed * rows > most_hashes:
                break
            best = cls(max(needed, 1), rows)
            if found >= 1 and rows >= 4:
                break
        return best


@dataclass(frozen=True)
class BandKeys:
    """Computes the keys of each set's bands; sent to the tasks.

    Attributes
    ----------
    bands : Bands
    seed : int
    """

    bands: Bands
    seed: int

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield (id, size, key) for each band of rows of (id, hashes of the items)."""
        for batch in batches:
            if not batch.num_rows:
                continue
            ids, lists = batch.column(0), batch.column(1)
            sizes = lists.value_lengths().to_numpy(zero_copy_only=False).astype(np.int32)
            items = lists.flatten().to_numpy().view(np.uint64)
            start = np.cumsum(sizes) - sizes
            for band in range(self.bands.bands):
                keys = pa.array(self._keys(items, start, band).view(np.int64))
                yield pa.RecordBatch.from_arrays(
                    [ids, pa.array(sizes), keys], ["id", "size", "key"]
                )

    def _keys(
        self, items: npt.NDArray[np.uint64], start: npt.NDArray, band: int
    ) -> npt.NDArray[np.uint64]:
        """Return the key of one band of each set: a hash of the band's MinHash values."""
        key = np.full(len(start), band, dtype=np.uint64)
        for row in range(self.bands.rows):
            number = band * self.bands.rows + row
            least = np.minimum.reduceat(hash_long(items, xxhash64(self.seed, number)), start)
            key = hash_long(least, key)
        return key
