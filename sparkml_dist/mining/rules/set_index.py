"""The counts of a complete family of itemsets, by the hash of a set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import DataError

__all__ = ["BYTES_PER_ITEMSET", "SetIndex"]

#: Bytes of an entry while an index is built: a hash and a count, unsorted and sorted.
BYTES_PER_ITEMSET = 40

Hashes = npt.NDArray[np.uint64]
Counts = npt.NDArray[np.int64]


class SetIndex:
    """Counts of itemsets by hash: 16 bytes per set, whatever the items are.

    The hash of a set is the exclusive or of its items' 64-bit hashes, so that the hash of a subset
    follows from the set's own without its items. Only sets of the family are looked up (every
    subset of a frequent itemset is frequent), so that the counts are exact if all hashes are
    distinct; a family with equal hashes is refused.

    Parameters
    ----------
    hashes : sequence of ndarray of uint64
        Hashes of the sets, in several arrays and any order.
    counts : sequence of ndarray of int64

    Raises
    ------
    DataError
        ``invalid_itemsets``.
    """

    def __init__(self, hashes: Sequence[Hashes], counts: Sequence[Counts]) -> None:
        keys = np.concatenate(hashes) if hashes else np.empty(0, np.uint64)
        order = np.argsort(keys)
        self._keys = keys[order]
        self._counts = np.concatenate(counts)[order] if counts else np.empty(0, np.int64)
        if len(keys) and (self._keys[1:] == self._keys[:-1]).any():
            raise DataError(
                "invalid_itemsets",
                "An itemset occurs twice.",
                "Give each itemset once: df.dropDuplicates(['items']).",
            )

    def __len__(self) -> int:
        return len(self._keys)

    def counts(self, hashes: Hashes) -> Counts:
        """Return the counts of sets, shape as `hashes`.

        Raises
        ------
        DataError
            ``incomplete_itemsets`` when a set is not in the family.
        """
        if not len(self._keys):
            raise _incomplete()
        at = np.searchsorted(self._keys, hashes)
        at[at == len(self._keys)] = 0
        if (self._keys[at] != hashes).any():
            raise _incomplete()
        return self._counts[at]


def _incomplete() -> DataError:
    return DataError(
        "incomplete_itemsets",
        "A subset of an itemset, whose count a rule needs, is missing.",
        "Give all frequent itemsets of one minimum support: target='frequent', not maximal or "
        "closed ones, and unfiltered.",
    )
