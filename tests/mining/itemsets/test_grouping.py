"""Groups: balanced, bounded, and whatever they are, the same itemsets; without Spark."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkml_dist.errors import DataError, ResourceError
from sparkml_dist.mining.itemsets import (
    encoding,
    grouped_mining,
    grouping,
    mine_or_estimate,
    packed,
)
from sparkml_dist.mining.itemsets.grouping import Grouping, Split, group_classes
from sparkml_dist.mining.itemsets.mining_task import Mining
from sparkml_dist.mining.itemsets.result_estimate import estimate_classes
from sparkml_dist.mining.itemsets.vocabulary import Vocabulary

sys.path.insert(0, str(Path(__file__).parent))
from brute_force import wanted

MIN_COUNT = 60


def baskets():
    rng = np.random.default_rng(1)
    drawn = [[f"i{j}" for j in np.flatnonzero(rng.random(8) < 0.6)] for _ in range(200)]
    return [[*basket, "always"] for basket in drawn]


@pytest.fixture(scope="module")
def encoded():
    """What the first pass makes of the baskets, in two chunks."""
    lists = pa.array(baskets(), pa.list_(pa.string()))
    batch = pa.RecordBatch.from_arrays([lists], ["items"])
    chunks = [*encoding.encode(iter([batch.slice(0, 80)]))]
    return [*chunks, *encoding.encode(iter([batch.slice(80)]))]


@pytest.fixture(scope="module")
def vocabulary(encoded):
    counts = {}
    for chunk in encoded:
        for total in chunk["totals"][0].as_py():
            if total["kind"] == 0:
                counts[total["item"]] = counts.get(total["item"], 0) + total["count"]
    kept = {item: count for item, count in counts.items() if count >= MIN_COUNT}
    return Vocabulary.of(pa.array(list(kept)), np.array(list(kept.values())))


def read(rows, vocabulary):
    """Unpack itemsets, each of which may come once only."""
    found, notes = {}, []
    for row in rows:
        if row["note"][0].is_valid:
            notes.append(json.loads(row["note"][0].as_py()))
        columns = row.select(["lengths", "items", "counts"])
        for table in packed._unpack(vocabulary.items, 200, iter([columns])):
            for itemset in table.to_pylist():
                assert tuple(itemset["items"]) not in found
                found[tuple(itemset["items"])] = itemset["count"]
    return found, notes


def in_groups(encoded, mining, groups, limit=10**6):
    parts = list(grouped_mining._projected(mining, groups, iter(encoded)))
    rows = []
    for number in range(groups.groups):
        own = [part for part in parts if part["group"][0].as_py() == number]
        rows += grouped_mining._mined(mining, groups, 1, limit, iter(own))
    return read(rows, mining.vocabulary)


def expected(encoded, mining):
    _, notes = read(
        mine_or_estimate._from_all_baskets(mining, False, iter(encoded)), mining.vocabulary
    )
    return np.array(notes[0]["itemsets"]), np.array(notes[0]["entries"])


@pytest.mark.parametrize("target", ["frequent", "closed", "maximal"])
@pytest.mark.parametrize("number", [1, 2, 7])
def test_any_number_of_groups(encoded, vocabulary, target, number):
    mining = Mining(vocabulary, MIN_COUNT, target, None)
    groups = group_classes(*expected(encoded, mining), 1 << 30, 1, number)
    found, notes = in_groups(encoded, mining, groups)
    assert found == wanted(baskets(), MIN_COUNT, target)
    assert sorted(note["group"] for note in notes) == list(range(number))


@pytest.mark.parametrize("max_length", [None, 1, 2])
@pytest.mark.parametrize("entries", [20, 100, 300])
def test_a_class_too_large_for_a_task_is_split(
    encoded, vocabulary, monkeypatch, entries, max_length
):
    monkeypatch.setattr(grouping, "_LEAST_ENTRIES", 1)
    monkeypatch.setattr(grouping, "_BASE", 0)
    mining = Mining(vocabulary, MIN_COUNT, "frequent", max_length)
    memory = entries * grouping._BYTES_PER_ENTRY
    groups = group_classes(*expected(encoded, mining), memory, 1)
    assert groups.splits
    assert groups.largest_entries <= entries
    found, _ = in_groups(encoded, mining, groups)
    assert found == wanted(baskets(), MIN_COUNT, "frequent", max_length)


@pytest.mark.parametrize("target", ["closed", "maximal"])
@pytest.mark.parametrize(("entries", "max_length"), [(100, None), (300, None), (100, 2), (100, 1)])
def test_a_class_of_whole_baskets_is_split(
    encoded, vocabulary, monkeypatch, target, entries, max_length
):
    monkeypatch.setattr(grouping, "_LEAST_ENTRIES", 1)
    monkeypatch.setattr(grouping, "_BASE", 0)
    monkeypatch.setattr(grouping, "_OVER", 1000)
    mining = Mining(vocabulary, MIN_COUNT, target, max_length)
    itemsets, whole = expected(encoded, mining)
    memory = entries * grouping._BYTES_PER_ENTRY
    groups = group_classes(itemsets, whole, memory, 1, lengths=whole / vocabulary.counts)
    assert len(groups.splits) == len(vocabulary)
    assert max(split.parts for split in groups.splits) > 1
    found, _ = in_groups(encoded, mining, groups)
    assert found == wanted(baskets(), MIN_COUNT, target, max_length)


@given(
    st.lists(st.lists(st.integers(0, 5), max_size=6), min_size=1, max_size=12),
    st.integers(1, 3),
    st.sampled_from(["closed", "maximal", "frequent"]),
    st.integers(1, 4),
)
def test_all_classes_split_give_the_same_itemsets(drawn, least, target, parts):
    lists = pa.array([sorted(set(basket)) for basket in drawn], pa.list_(pa.int64()))
    chunks = [*encoding.encode(iter([pa.RecordBatch.from_arrays([lists], ["items"])]))]
    counted = Counter(item for basket in drawn for item in set(basket))
    kept = {item: n for item, n in counted.items() if n >= least}
    if not kept:
        return
    known = Vocabulary.of(pa.array([*kept], pa.int64()), np.array([*kept.values()]))
    splits = tuple(Split(code, code * parts, parts) for code in range(len(known)))
    groups = Grouping(np.full(len(known), -1, np.int32), len(known) * parts, 0.0, splits)
    found, _ = in_groups(chunks, Mining(known, least, target, None), groups)
    assert found == wanted([sorted(set(b)) for b in drawn], least, target)


def test_a_part_too_large_for_a_task_is_told_in_time(encoded, vocabulary, monkeypatch):
    monkeypatch.setattr(grouping, "_LEAST_ENTRIES", 1)
    monkeypatch.setattr(grouping, "_BASE", 0)
    mining = Mining(vocabulary, MIN_COUNT, "closed", None)
    itemsets, whole = expected(encoded, mining)
    memory = 20 * grouping._BYTES_PER_ENTRY
    groups = group_classes(itemsets, whole, memory, 1, lengths=whole / vocabulary.counts)
    with pytest.raises(ResourceError, match="'i[0-9]' and another item have more than 60 items"):
        in_groups(encoded, mining, groups)


def test_work_is_balanced():
    rng = np.random.default_rng(2)
    itemsets = rng.exponential(1000, 300)
    groups = group_classes(itemsets, np.zeros(300), 1 << 30, 6)
    loads = np.bincount(groups.owner, itemsets)
    assert groups.groups == 6
    assert loads.max() < 1.05 * loads.mean()


def test_little_memory_makes_many_groups():
    entries = np.full(100, 1e6)
    groups = group_classes(np.ones(100), entries, 320 << 20, 2)
    assert groups.largest_entries * grouping._BYTES_PER_ENTRY <= 320 << 20
    assert groups.groups > 40


def test_a_group_that_exceeds_the_limit_fails_with_advice(encoded, vocabulary):
    mining = Mining(vocabulary, MIN_COUNT, "frequent", None)
    groups = group_classes(*expected(encoded, mining), 1 << 30, 1, 1)
    with pytest.raises(DataError, match="more than 5 itemsets"):
        in_groups(encoded, mining, groups, limit=5)


def test_estimates_are_near_the_truth(encoded, vocabulary):
    chunks = encoding.chunks(iter(encoded))
    rows = [vocabulary.ranked(c.dictionary, c.lengths, c.codes) for c in chunks]
    joined = rows[0].joined(rows).merged()
    least = 20
    truth = len(wanted(baskets(), least, "frequent"))
    found = [
        estimate_classes(joined, len(vocabulary), least, seed=seed).itemsets.sum()
        for seed in range(5)
    ]
    assert np.mean(found) == pytest.approx(truth, rel=0.2)
