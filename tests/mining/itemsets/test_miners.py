"""The miners themselves, without Spark, against trying all itemsets."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkml_dist.mining.itemsets import closed_miner, frequent_miner, mask_miner
from sparkml_dist.mining.itemsets.basket_rows import BasketRows
from sparkml_dist.mining.itemsets.itemset_sink import ItemsetSink, TooManyItemsetsError
from sparkml_dist.mining.itemsets.mining_task import Mining
from sparkml_dist.mining.itemsets.superset_sums import superset_sums
from sparkml_dist.mining.itemsets.vocabulary import Vocabulary

sys.path.insert(0, str(Path(__file__).parent))
from brute_force import closed, maximal, wanted

TARGETS = ("frequent", "closed", "maximal")
BASKETS = st.lists(st.lists(st.integers(0, 8), max_size=9), min_size=1, max_size=25)


def vocabulary_of(baskets, min_count):
    counts = {}
    for basket in baskets:
        for item in set(basket):
            counts[item] = counts.get(item, 0) + 1
    kept = {i: c for i, c in counts.items() if c >= min_count}
    return Vocabulary.of(pa.array(list(kept), pa.int64()), np.array(list(kept.values()), np.int64))


def rows_of(baskets, vocabulary):
    dictionary = pa.array(sorted({i for b in baskets for i in b}), pa.int64())
    place = {item: i for i, item in enumerate(dictionary.to_pylist())}
    lengths = np.array([len(b) for b in baskets])
    codes = np.array([place[i] for b in baskets for i in b], np.int64)
    return vocabulary.ranked(dictionary, lengths, codes)


def mined(baskets, min_count, target, max_length=None, split=1, merged=True):
    """Mine the classes in `split` parts, as as many tasks would."""
    vocabulary = vocabulary_of(baskets, min_count)
    if not len(vocabulary):
        return {}
    rows = rows_of(baskets, vocabulary)
    rows = rows.merged() if merged else rows
    mining = Mining(vocabulary, min_count, target, max_length)
    found = {}
    for part in range(split):
        firsts = np.arange(part, len(vocabulary), split)
        for piece in mining.run(rows, firsts):
            ends = np.cumsum(piece.lengths)
            for low, high, count in zip(ends - piece.lengths, ends, piece.counts):
                items = vocabulary.items.take(pa.array(piece.items[low:high])).to_pylist()
                assert tuple(items) not in found, "an itemset was found twice"
                assert items == sorted(items)
                found[tuple(items)] = int(count)
    return found


@pytest.fixture(params=["as it is", "levels", "narrow masks", "small pieces"])
def way(request, monkeypatch):
    """Each way through the miners, however small the data."""
    if request.param == "levels":
        monkeypatch.setattr(frequent_miner, "is_dense", lambda *_: False)
        monkeypatch.setattr(frequent_miner, "_SMALL", 1)
        monkeypatch.setattr(frequent_miner, "_FILLED", 2.0)
    elif request.param == "narrow masks":
        monkeypatch.setattr(frequent_miner, "_SMALL", 1)
        monkeypatch.setattr(mask_miner, "_DIRECT", 1)
    elif request.param == "small pieces":
        monkeypatch.setattr(frequent_miner, "is_dense", lambda *_: False)
        monkeypatch.setattr(frequent_miner, "_CELLS", 4)
        monkeypatch.setattr(frequent_miner, "_ENTRIES", 3)
        monkeypatch.setattr(closed_miner, "_CELLS", 4)
        monkeypatch.setattr(closed_miner, "_TABLE", 4)
    return request.param


@pytest.mark.parametrize("target", TARGETS)
def test_all_itemsets_are_found_once(way, target):
    @settings(max_examples=2 * settings().max_examples)
    @given(BASKETS, st.integers(1, 6), st.integers(1, 3), st.sampled_from([None, 1, 2, 3]))
    def check(baskets, min_count, split, max_length):
        found = mined(baskets, min_count, target, max_length, split)
        assert found == wanted(baskets, min_count, target, max_length)

    check()


@pytest.mark.parametrize("target", TARGETS)
def test_long_dense_baskets(way, target):
    rng = np.random.default_rng(5)
    baskets = [np.flatnonzero(rng.random(11) < 0.75).tolist() for _ in range(120)]
    assert mined(baskets, 30, target) == wanted(baskets, 30, target)


@pytest.mark.parametrize("target", TARGETS)
def test_an_item_in_every_basket(target):
    rng = np.random.default_rng(6)
    baskets = [[100, *rng.integers(0, 8, 3).tolist()] for _ in range(60)]
    assert mined(baskets, 4, target, split=3) == wanted(baskets, 4, target)


def test_more_items_beside_one_than_a_word_has_bits():
    # 70 items that all occur with item 0, in pairs of which some are frequent.
    rng = np.random.default_rng(7)
    baskets = [[0, *rng.choice(np.arange(1, 71), 6, replace=False).tolist()] for _ in range(800)]
    baskets += [[0, 5, 6, 7]] * 30
    everything = mined(baskets, 12, "frequent")
    assert everything == apriori(baskets, 12)
    assert mined(baskets, 12, "closed") == closed(everything)
    assert mined(baskets, 12, "maximal") == maximal(everything)


def apriori(baskets, min_count):
    """Level by level: what the brute force finds, for more items."""
    sets = [frozenset(b) for b in baskets]
    level = {frozenset([item]) for basket in sets for item in basket}
    found = {}
    while level:
        counts = {c: sum(1 for b in sets if c <= b) for c in level}
        level = {c for c, n in counts.items() if n >= min_count}
        found |= {tuple(sorted(c)): counts[c] for c in level}
        level = {a | b for a in level for b in level if len(a | b) == len(a) + 1}
    return found


def test_weights_are_repetitions():
    rng = np.random.default_rng(8)
    baskets = [rng.integers(0, 4, 3).tolist() for _ in range(300)]
    assert mined(baskets, 20, "frequent") == mined(baskets, 20, "frequent", merged=False)


def test_a_budget_is_kept():
    baskets = [list(range(12))] * 3
    vocabulary = vocabulary_of(baskets, 1)
    mining = Mining(vocabulary, 1, "frequent", None)
    with pytest.raises(TooManyItemsetsError):
        list(mining.run(rows_of(baskets, vocabulary), np.arange(12), budget=100))


def test_superset_sums_are_supports():
    rng = np.random.default_rng(9)
    masks, weights = rng.integers(0, 32, 50), rng.integers(1, 5, 50)
    sums = superset_sums(masks, weights, 5)[:, 0]
    for subset in range(32):
        assert sums[subset] == weights[(masks & subset) == subset].sum()


@given(st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=6), max_size=20))
def test_merging_rows_keeps_the_baskets(baskets):
    rows = np.repeat(np.arange(len(baskets)), [len(b) for b in baskets])
    codes = np.array([i for b in baskets for i in b], np.int64)
    merged = BasketRows.from_pairs(rows, codes, 6).merged()
    found = {
        tuple(merged.codes[low:high].tolist()): int(weight)
        for low, high, weight in zip(merged.offsets, merged.offsets[1:], merged.weights)
    }
    expected = {}
    for basket in baskets:
        key = tuple(sorted(set(basket)))
        expected[key] = expected.get(key, 0) + 1
    assert found == expected
    assert len(found) == len(merged)


def test_a_sink_leaves_out_what_is_too_long():
    sink = ItemsetSink(max_length=1)
    sink.add_bits(np.array([3, 5]), np.array([[1, 0], [1, 1]]), np.array([7, 6]))
    found = sink.drain()
    assert (found.items.tolist(), found.counts.tolist()) == ([3], [7])
