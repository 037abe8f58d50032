"""The first pass over the baskets: items are encoded as integers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sparkml_dist.mining.itemsets.basket_rows import BasketRows

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from sparkml_dist.mining.itemsets.vocabulary import Vocabulary

__all__ = ["Chunk", "chunks", "encode", "encoded_baskets", "ranked_baskets", "totals_type"]

# Number of basket entries that are encoded at a time.
_ENTRIES = 1 << 20
#: Kinds of totals: of one item, and of all baskets.
ITEM, BASKETS, NULL_BASKETS, EMPTY_BASKETS, NULL_ITEMS, DOUBLE_ITEMS = range(6)


@dataclass(frozen=True)
class Chunk:
    """A chunk of encoded baskets with its own dictionary.

    Attributes
    ----------
    dictionary : pyarrow.Array
        Distinct items.
    lengths : ndarray of int32, shape (baskets,)
    codes : ndarray of int32, shape (entries,)
        Positions in the dictionary, ascending and distinct within a basket.
    """

    dictionary: pa.Array
    lengths: npt.NDArray[np.int32]
    codes: npt.NDArray[np.int32]


def encoded_baskets(baskets: DataFrame, item_type: str) -> DataFrame:
    """Encode the baskets in chunks; computed lazily.

    Parameters
    ----------
    baskets : pyspark.sql.DataFrame
        One array column.
    item_type : str
        Spark's name of the items' type.

    Returns
    -------
    pyspark.sql.DataFrame
        A row for each chunk: its baskets, and its totals by item and kind.
    """
    schema = f"lengths binary, codes binary, totals {totals_type(item_type)}"
    return baskets.mapInArrow(encode, schema)


def totals_type(item_type: str) -> str:
    """Return Spark's name of the type of totals by item and kind."""
    return f"array<struct<item:{item_type},kind:tinyint,count:bigint>>"


def encode(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Encode batches of one list column as rows that `chunks` reads."""
    waiting: list[pa.Array] = []
    entries = 0
    for batch in batches:
        lists = batch.column(0)
        waiting.append(lists)
        entries += len(lists.flatten())
        if entries >= _ENTRIES:
            yield _encoded(waiting)
            waiting, entries = [], 0
    if waiting:
        yield _encoded(waiting)


def _encoded(waiting: list[pa.Array]) -> pa.RecordBatch:
    lists = pa.concat_arrays(waiting)
    null_baskets = lists.null_count
    lists = lists.drop_null()
    lengths = lists.value_lengths().to_numpy()
    encoded = lists.flatten().dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy()
    dictionary = encoded.dictionary
    given = codes >= 0
    of_row = np.repeat(np.arange(len(lengths)), lengths)
    rows = BasketRows.from_pairs(of_row[given], codes[given], len(dictionary))
    kinds = {
        BASKETS: len(lengths),
        NULL_BASKETS: null_baskets,
        EMPTY_BASKETS: len(lengths) - len(rows),
        NULL_ITEMS: int((~given).sum()),
        DOUBLE_ITEMS: int(given.sum()) - len(rows.codes),
    }
    counts = np.bincount(rows.codes, minlength=len(dictionary))
    totals = pa.StructArray.from_arrays(
        [
            pa.concat_arrays([dictionary, pa.nulls(len(kinds), dictionary.type)]),
            pa.array(np.append(np.zeros(len(counts)), list(kinds)).astype(np.int8)),
            pa.array(np.append(counts, list(kinds.values())).astype(np.int64)),
        ],
        ["item", "kind", "count"],
    )
    offsets = pa.array([0, len(totals)], pa.int32())
    return pa.RecordBatch.from_arrays(
        [
            pa.array([rows.lengths.astype(np.int32).tobytes()], pa.binary()),
            pa.array([rows.codes.tobytes()], pa.binary()),
            pa.ListArray.from_arrays(offsets, totals),
        ],
        ["lengths", "codes", "totals"],
    )


def chunks(batches: Iterable[pa.RecordBatch]) -> Iterator[Chunk]:
    """Read the rows that `encode` wrote."""
    for batch in batches:
        for i in range(batch.num_rows):
            totals = batch.column("totals")[i].values
            dictionary = totals.field("item").filter(
                pa.compute.equal(totals.field("kind"), pa.scalar(ITEM, pa.int8()))
            )
            yield Chunk(
                dictionary,
                np.frombuffer(batch.column("lengths")[i].as_buffer(), np.int32),
                np.frombuffer(batch.column("codes")[i].as_buffer(), np.int32),
            )


def ranked_baskets(vocabulary: Vocabulary, batches: Iterable[pa.RecordBatch]) -> BasketRows:
    """Return the baskets that `encode` wrote as distinct rows of ranks."""
    ranked = [vocabulary.ranked(c.dictionary, c.lengths, c.codes) for c in chunks(batches)]
    return BasketRows.joined(ranked).merged()
