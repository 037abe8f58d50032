"""One task mines small data, or estimates the work of larger data from a sample."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from sparkml_dist.cluster.memory import PeakMemory
from sparkml_dist.cluster.threads import limit_threads
from sparkml_dist.mining.itemsets.basket_rows import BasketRows
from sparkml_dist.mining.itemsets.encoding import chunks, ranked_baskets
from sparkml_dist.mining.itemsets.mining_task import Mining
from sparkml_dist.mining.itemsets.packed import PACKED, note_row, packed_row
from sparkml_dist.mining.itemsets.result_estimate import estimate_classes

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["SAMPLE_ENTRIES", "mine_or_estimate"]

#: Most basket entries that the task reads: of all baskets or a sample.
SAMPLE_ENTRIES = 1 << 21
_SAMPLE = "lengths binary, codes binary"


def mine_or_estimate(encoded: DataFrame, mining: Mining, *, mine_small: bool = True) -> DataFrame:
    """Return the packed itemsets, or an estimate of their number; computed lazily.

    Parameters
    ----------
    encoded : pyspark.sql.DataFrame
        All baskets.
    mining : Mining
    mine_small : bool, default=True
        Whether small data is mined at once.

    Returns
    -------
    pyspark.sql.DataFrame
        Packed itemsets and a note ``{"complete": true}``; or only a note ``{"complete": false,
        "estimate": …, "itemsets": […], "entries": […]}``, the lists by rank.
    """
    total = int(mining.vocabulary.counts.sum())
    share = min(1.0, SAMPLE_ENTRIES / max(1, total))
    if share == 1.0:
        # One task and one Python worker encode and mine small data.
        return encoded.coalesce(1).mapInArrow(
            partial(_from_all_baskets, mining, mine_small), PACKED
        )
    sampled = encoded.mapInArrow(partial(_sampled, mining, share), _SAMPLE).repartition(1)
    return sampled.mapInArrow(partial(_from_sample, mining, share), PACKED)


def _sampled(
    mining: Mining, share: float, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    for chunk in chunks(batches):
        rows = mining.vocabulary.ranked(chunk.dictionary, chunk.lengths, chunk.codes)
        if len(rows):
            # Seeded by the chunk's content, so that a task that is retried draws the same rows.
            seed = [len(rows), int(rows.codes.sum(dtype=np.int64))]
            drawn = np.random.default_rng(seed).random(len(rows)) < share
            rows = rows.take(np.flatnonzero(drawn))
        yield pa.RecordBatch.from_arrays(
            [
                pa.array([rows.lengths.astype(np.int32).tobytes()], pa.binary()),
                pa.array([rows.codes.tobytes()], pa.binary()),
            ],
            ["lengths", "codes"],
        )


def _from_all_baskets(
    mining: Mining, mine_small: bool, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    with PeakMemory() as memory, limit_threads(1):
        rows = ranked_baskets(mining.vocabulary, batches)
        found = mining.mine_small(rows) if mine_small else None
        if found is not None:
            yield from map(packed_row, found)
            yield note_row({"complete": True, "peak_rss": memory.so_far()})
        else:
            yield _expectation(mining, rows, 1.0, memory)


def _from_sample(
    mining: Mining, share: float, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    with PeakMemory() as memory, limit_threads(1):
        yield _expectation(mining, _joined(batches), share, memory)


def _expectation(
    mining: Mining, rows: BasketRows, share: float, memory: PeakMemory
) -> pa.RecordBatch:
    """Return the estimates for all baskets as a note, from a share of them."""
    # A higher threshold: few itemsets of the sample may be infrequent among all baskets.
    expected = mining.min_count * share
    threshold = expected if share == 1.0 else expected + 2.0 * np.sqrt(expected)
    seen = estimate_classes(
        rows, len(mining.vocabulary), max(1.0, threshold), whole=mining.needs_whole_baskets
    )
    return note_row(
        {
            "complete": False,
            "estimate": float(seen.itemsets.sum()),
            "itemsets": np.round(seen.itemsets, 1).tolist(),
            "entries": np.round(seen.entries / share, 1).tolist(),
            "peak_rss": memory.so_far(),
        }
    )


def _joined(batches: Iterator[pa.RecordBatch]) -> BasketRows:
    parts = []
    for batch in batches:
        for i in range(batch.num_rows):
            lengths, codes = (
                np.frombuffer(batch.column(name)[i].as_buffer(), np.int32)
                for name in ("lengths", "codes")
            )
            parts.append(BasketRows.from_lengths(lengths, codes, np.ones(len(lengths), np.int64)))
    return BasketRows.joined(parts).merged()
