"""Batches of a rank: all rows once, whole, padded with weight 0, and the same at any rank count."""

from __future__ import annotations

import threading
import time
from collections import Counter

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from sparkml_dist.dataset.block import Block
from sparkml_dist.deep.pipeline import BatchStream
from sparkml_dist.deep.plan import lanes_of, plan_epoch


class Shards:
    """Shards in memory whose first feature is the number of the row, and the class its parity."""

    def __init__(self, groups, sparse=False, weighted=False):
        self.groups = groups
        self.sparse = sparse
        self.weighted = weighted
        starts, at = {}, 1
        for s, sizes in enumerate(groups):
            for g, n in enumerate(sizes):
                starts[s, g] = at
                at += n
        self.starts, self.n = starts, at - 1
        self.threads = set()

    def read(self, shard, row_groups):
        (group,) = row_groups
        self.threads.add(threading.current_thread().name)
        ids = np.arange(self.groups[shard][group]) + self.starts[shard, group]
        X = np.stack([ids, ids * 2, np.zeros_like(ids), -ids], axis=1).astype(np.float32)
        weight = (ids % 5).astype(np.float32) if self.weighted else None
        y = (ids % 2).astype(np.int32)
        return Block(sp.csr_matrix(X) if self.sparse else X, y, weight, ids.astype(np.int64))

    def batches(self, ranks, batch, epoch=0, lanes=None, shape=(4,)):
        lanes = lanes or ranks
        plan = plan_epoch(
            self.groups, lanes=lanes, lane_batch=batch * ranks // lanes, seed=3, epoch=epoch
        )
        found = []
        for rank in range(ranks):
            with BatchStream(self.read, plan, lanes_of(rank, ranks, lanes), 4, shape) as stream:
                found.append(list(stream))
        return found


@given(
    st.lists(st.lists(st.integers(1, 30), min_size=1, max_size=4), min_size=1, max_size=4),
    st.integers(1, 3),
    st.integers(1, 9),
    st.booleans(),
)
def test_counting(groups, ranks, batch, sparse):
    shards = Shards(groups, sparse=sparse)
    by_rank = shards.batches(ranks, batch)
    assert len({len(batches) for batches in by_rank}) == 1
    seen = Counter()
    for batches in by_rank:
        for b in batches:
            assert (len(b.x), len(b.y), len(b.weight)) == (batch,) * 3
            assert b.weight[: b.rows].tolist() == [1.0] * b.rows
            assert not b.weight[b.rows :].any()
            seen.update(b.x[: b.rows, 0].astype(int).tolist())
            ids = b.x[: b.rows, 0]
            assert (b.x[: b.rows] == np.stack([ids, ids * 2, ids * 0, -ids], axis=1)).all()
            assert (b.y[: b.rows] == ids % 2).all()
            if b.rows:  # rows that stand in are real ones
                assert set(b.x[:, 0]) == set(ids)
                assert (b.y == b.x[:, 0] % 2).all()
    assert seen == Counter(range(1, shards.n + 1))


def test_weights_follow_their_rows():
    for b in Shards([[7, 5], [9]], weighted=True).batches(1, 4)[0]:
        assert (b.weight[: b.rows] == b.x[: b.rows, 0] % 5).all()
        assert not b.weight[b.rows :].any()


def test_rows_are_shuffled_across_row_groups_and_epochs():
    shards = Shards([[50] * 8])
    first, second = (shards.batches(1, 40, epoch=e)[0] for e in (0, 1))
    for batches in (first, second):
        groups_in_a_batch = [len(set(((b.x[:, 0] - 1) // 50).tolist())) for b in batches]
        assert min(groups_in_a_batch) >= 3
    assert any((a.x != b.x).any() for a, b in zip(first, second, strict=True))


def test_lanes_make_batches_independent_of_the_number_of_ranks():
    shards = Shards([[20, 13], [17], [9, 30]])
    wanted = None
    for ranks in (1, 2, 4):
        by_rank = shards.batches(ranks, 8 // ranks, lanes=4)
        steps = [
            sorted(np.concatenate([b.x[: b.rows, 0] for b in step]).tolist())
            for step in zip(*by_rank, strict=True)
        ]
        wanted = wanted or steps
        assert steps == wanted


def test_image_shape():
    batch = Shards([[6]]).batches(1, 3, shape=(2, 2, 1))[0][0]
    assert batch.x.shape == (3, 2, 2, 1)
    assert batch.x.dtype == np.float32


def test_reads_on_a_thread_of_its_own_and_not_too_far_ahead():
    shards = Shards([[10] * 200])
    plan = plan_epoch(shards.groups, lanes=1, lane_batch=10, seed=0, epoch=0)
    read = []

    def reading(shard, groups):
        read.append(groups)
        return shards.read(shard, groups)

    with BatchStream(reading, plan, [0], 4, (4,)) as stream:
        iterator = iter(stream)
        next(iterator)
        time.sleep(0.2)
        assert len(read) <= 16
    assert shards.threads == {"sparkml_dist-batches"}
    assert threading.active_count() < 10


def test_an_error_of_the_reader_is_raised_where_batches_are_taken():
    def broken(shard, groups):
        raise OSError("gone")

    plan = plan_epoch([[4]], lanes=1, lane_batch=2, seed=0, epoch=0)
    with BatchStream(broken, plan, [0], 4, (4,)) as stream, pytest.raises(OSError, match="gone"):
        list(stream)
