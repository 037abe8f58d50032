"""Every row exactly once in an epoch, the same number of steps everywhere."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkml_dist.deep.input.plan import default_lanes, lanes_of, plan_epoch, rank_batch
from sparkml_dist.errors import ConfigurationError

shards = st.lists(st.lists(st.integers(0, 40), max_size=5), min_size=1, max_size=6).filter(
    lambda s: sum(map(sum, s)) > 0
)


def rows_of(plan, lane, skip=0):
    return [
        (p.shard, p.row_group, row)
        for p in plan.pieces(lane, skip)
        for row in range(p.start, p.stop)
    ]


@given(shards, st.integers(1, 7), st.integers(1, 60), st.integers(0, 2**32 - 1), st.integers(0, 9))
def test_every_row_exactly_once(groups, lanes, batch, seed, epoch):
    def planned():
        return plan_epoch(groups, lanes=lanes, batch_size=batch, seed=seed, epoch=epoch)

    plan = planned()
    rows = [rows_of(plan, lane) for lane in range(lanes)]
    expected = {
        (s, g, row)
        for s, sizes in enumerate(groups)
        for g, n in enumerate(sizes)
        for row in range(n)
    }
    assert Counter(row for lane in rows for row in lane) == Counter(expected)
    assert tuple(map(len, rows)) == plan.lane_rows
    assert plan.rows == len(expected)
    assert sum(plan.quotas) == plan.batch_size == batch
    assert max(plan.quotas) - min(plan.quotas) <= 1
    again = planned()
    assert plan == again
    assert [rows_of(again, lane) for lane in range(lanes)] == rows


@given(shards, st.integers(1, 7), st.integers(1, 60))
def test_every_step_but_the_last_is_whole(groups, lanes, batch):
    plan = plan_epoch(groups, lanes=lanes, batch_size=batch, seed=1, epoch=2)
    assert plan.steps == -(-plan.rows // batch)
    for rows, quota in zip(plan.lane_rows, plan.quotas, strict=True):
        assert quota * (plan.steps - 1) <= rows <= quota * plan.steps


@given(shards, st.integers(1, 5), st.integers(1, 30), st.integers(0, 100))
def test_a_lane_can_begin_anywhere(groups, lanes, batch, skip):
    plan = plan_epoch(groups, lanes=lanes, batch_size=batch, seed=3, epoch=0)
    for lane in range(lanes):
        assert rows_of(plan, lane, skip) == rows_of(plan, lane)[skip:]


def test_epochs_and_seeds_differ():
    groups = [[10] * 20] * 3
    plans = [
        plan_epoch(groups, lanes=2, batch_size=8, seed=s, epoch=e) for s in (0, 1) for e in (0, 1)
    ]
    assert len({tuple(p.row_groups()) for p in plans}) == 4
    assert len({tuple(p.order(1, 2, 10)) for p in plans}) == 4
    assert len({tuple(plans[0].order(s, g, 10)) for s in range(3) for g in range(4)}) == 12
    assert sorted(plans[0].order(0, 0, 10)) == list(range(10))


def test_row_groups_come_in_an_order_that_ignores_shards():
    plan = plan_epoch([[10] * 10] * 10, lanes=10, batch_size=20, seed=0, epoch=0)
    at_once = [next(plan.pieces(lane)).shard for lane in range(10)]
    assert len(set(at_once)) >= 5
    assert [p.shard for p in islice(plan.pieces(0), 3)] != [0, 0, 0]


@given(st.integers(1, 12), st.integers(0, 40))
def test_lanes_are_shared_out(ranks, more):
    lanes = ranks + more
    shares = [lanes_of(rank, ranks, lanes) for rank in range(ranks)]
    assert [lane for share in shares for lane in share] == list(range(lanes))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_fewer_lanes_than_ranks():
    with pytest.raises(ConfigurationError, match="invalid_param"):
        lanes_of(0, 4, 3)


@given(st.integers(1, 70), st.integers(1, 300))
def test_default_lanes(ranks, batch_per_rank):
    batch = ranks * batch_per_rank
    lanes = default_lanes(ranks, batch)
    assert ranks <= lanes <= batch
    assert lanes % ranks == 0
    plan = plan_epoch([[1000]], lanes=lanes, batch_size=batch, seed=0, epoch=0)
    assert rank_batch(plan, ranks) == batch_per_rank
    if batch_per_rank >= 16:
        assert lanes % 12 == 0
        assert lanes >= 4 * ranks


@pytest.mark.parametrize(("ranks", "lanes"), [(1, 12), (2, 12), (3, 12), (5, 60), (8, 48)])
def test_default_lanes_of_some_gangs(ranks, lanes):
    assert default_lanes(ranks, ranks * 64) == lanes
