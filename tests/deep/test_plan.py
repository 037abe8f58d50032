"""Every row exactly once in an epoch, the same number of steps everywhere."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkml_dist.deep.plan import lanes_of, plan_epoch
from sparkml_dist.errors import ConfigurationError

shards = st.lists(st.lists(st.integers(0, 40), max_size=5), min_size=1, max_size=6).filter(
    lambda s: sum(map(sum, s)) > 0
)


@given(shards, st.integers(1, 7), st.integers(1, 16), st.integers(0, 2**32 - 1), st.integers(0, 9))
def test_every_row_exactly_once(groups, lanes, batch, seed, epoch):
    plan = plan_epoch(groups, lanes=lanes, lane_batch=batch, seed=seed, epoch=epoch)
    rows = Counter(
        (p.shard, p.row_group, row)
        for lane in plan.lanes
        for p in lane
        for row in range(p.start, p.stop)
    )
    expected = {
        (s, g, row)
        for s, sizes in enumerate(groups)
        for g, n in enumerate(sizes)
        for row in range(n)
    }
    assert rows == Counter(expected)
    assert max(plan.lane_rows) - min(plan.lane_rows) <= 1
    assert plan.steps * batch >= max(plan.lane_rows) > (plan.steps - 1) * batch
    assert plan == plan_epoch(groups, lanes=lanes, lane_batch=batch, seed=seed, epoch=epoch)


def test_epochs_and_seeds_differ():
    groups = [[10] * 20] * 3
    plans = [
        plan_epoch(groups, lanes=2, lane_batch=4, seed=s, epoch=e).lanes
        for s in (0, 1)
        for e in (0, 1)
    ]
    assert len(set(plans)) == 4


@given(st.integers(1, 6), st.integers(1, 5))
def test_lanes_are_shared_out(ranks, share):
    lanes = ranks * share
    served = [lane for rank in range(ranks) for lane in lanes_of(rank, ranks, lanes)]
    assert served == list(range(lanes))


def test_lanes_that_cannot_be_shared_out():
    with pytest.raises(ConfigurationError, match="invalid_lanes"):
        lanes_of(0, 2, 3)
