"""What a thousand slots plan, without a thousand slots."""

from __future__ import annotations

import pytest

from sparkml_dist.cluster.placement import rank_places
from sparkml_dist.cluster.sums.over_shards import _TASKS_PER_SLOT, _shards_of_a_task


class Host(str):
    """The name of a host that counts how often names are compared or hashed."""

    looks = 0

    def __eq__(self, other):
        Host.looks += 1
        return str.__eq__(self, other)

    def __hash__(self):
        Host.looks += 1
        return str.__hash__(self)


def test_the_places_of_ranks_take_time_in_proportion_to_them():
    looks = []
    for ranks in (100, 1000):
        Host.looks = 0
        places = rank_places([Host(f"host-{i % (ranks // 4)}") for i in range(ranks)])
        assert {(p.local_size, p.cross_size) for p in places} == {(4, ranks // 4)}
        assert sorted(p.rank for p in places) == list(range(ranks))
        looks.append(Host.looks)
    assert looks[1] <= 10 * looks[0]


@pytest.mark.parametrize("shards", [1_000, 100_000, 1_000_000])
def test_the_tasks_of_a_sum_depend_on_the_slots(shards):
    size = _shards_of_a_task(shards, None, _TASKS_PER_SLOT * 1000)
    tasks = -(-shards // size)
    assert tasks == shards if shards < 2000 else 2000 <= tasks < 4000
