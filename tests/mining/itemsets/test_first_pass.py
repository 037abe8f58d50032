"""The first job: what its task makes of the chunks, whatever the limits are."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from sparkml_dist.mining.itemsets.encoding import ITEM, encode
from sparkml_dist.mining.itemsets.first_pass import _count_and_mine, _Request
from sparkml_dist.mining.itemsets.item_counts import Threshold

CHUNK = st.lists(st.lists(st.sampled_from("abcdefg"), max_size=5) | st.none(), max_size=12)


def rows_of(chunks, most_entries, most_totals):
    """Encode each list of baskets as a chunk; leave out what is too much of it."""
    for baskets in chunks:
        array = pa.array(baskets, pa.list_(pa.string()))
        for row in encode(iter([pa.RecordBatch.from_arrays([array], ["items"])])):
            lengths, codes, totals = row.columns
            if len(codes[0].as_buffer()) > 4 * most_entries:
                lengths = codes = pa.nulls(1, pa.binary())
            if len(totals[0]) > most_totals:
                totals = pa.nulls(1, totals.type)
            yield pa.RecordBatch.from_arrays([lengths, codes, totals], row.schema.names)


@given(
    st.lists(CHUNK, max_size=40),
    st.sampled_from([-1, 6, 1000]),
    st.sampled_from([8, 1000]),
    st.sampled_from([10, 1000]),
)
def test_what_is_not_too_much_is_counted_and_mined(chunks, most_entries, most_totals, most_in_all):
    request = _Request(Threshold(None, 2), "frequent", 1, 1000, most_in_all)
    looked = list(_count_and_mine(request, rows_of(chunks, most_entries, most_totals)))
    if not chunks:
        assert not looked
        return
    note = json.loads(looked[-1].column("note")[0].as_py())
    totals = looked[-1].column("totals")[0]
    assert all(row.column("note")[0].as_py() is None for row in looked[:-1])
    items = [{item for basket in chunk if basket for item in basket} for chunk in chunks]
    assert totals.is_valid == all(len(found) + 5 <= most_totals for found in items)
    if not totals.is_valid:
        assert not note["complete"]
        return
    baskets = [basket for chunk in chunks for basket in chunk]
    counts = Counter(item for basket in baskets if basket for item in set(basket))
    frequent = {item: n for item, n in counts.items() if n >= 2}
    told = totals.values.to_pylist()
    assert {v["item"]: v["count"] for v in told if v["kind"] == ITEM} == frequent
    kinds = {v["kind"]: v["count"] for v in told if v["kind"] != ITEM}
    empty = sum(basket == [] for basket in baskets)
    null = sum(basket is None for basket in baskets)
    assert (kinds[1], kinds[2], kinds[3]) == (len(baskets) - null, null, empty)
    sizes = [sum(len(set(basket)) for basket in chunk if basket) for chunk in chunks]
    assert note["complete"] == (max(sizes) <= most_entries and sum(sizes) <= most_in_all)
    if note["complete"]:
        found = [np.frombuffer(row.column("counts")[0].as_buffer(), "<i8") for row in looked[:-1]]
        assert sorted(np.concatenate([[], *found])) == sorted(frequent.values())


def test_too_many_different_items_of_many_chunks():
    chunks = [[["a", f"i{k}"]] for k in range(40)]
    request = _Request(Threshold(None, 2), "frequent", None, 12, 1000)
    looked = list(_count_and_mine(request, rows_of(chunks, 1000, 1000)))
    assert len(looked) == 1
    assert not looked[0].column("totals")[0].is_valid
