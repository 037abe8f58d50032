"""When a gang has stopped, and who holds it up."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sparkml_dist.cluster.stall import StallWatch


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def watch(counts, seconds=10.0):
    clock = Clock()
    found = StallWatch(seconds, clock)
    for rank, count in enumerate(counts):
        found.joined(rank)
        if count:
            found.advanced(rank, count, f"step {count}")
    return found, clock


def test_nothing_is_watched_before_the_first_advance():
    found, clock = watch([0, 0])
    clock.now = 1e6
    assert found.stalled() is None


def test_any_advance_is_progress():
    found, clock = watch([3, 5])
    clock.now = 9
    assert found.stalled() is None
    found.advanced(0, 4, "")
    clock.now = 18
    assert found.stalled() is None
    clock.now = 19
    assert found.stalled()["seconds"] == 10


def test_a_rank_that_never_advanced_is_behind():
    found, clock = watch([0, 5])
    clock.now = 10
    record = found.stalled()
    assert (record["rank"], record["count"], record["others"]) == (0, 0, {"1": 5})


def test_who_is_done_holds_nobody_up():
    found, clock = watch([5, 3, 4])
    found.done(1)
    clock.now = 10
    assert found.stalled()["rank"] == 2
    found.done(2)
    found.done(0)
    clock.now = 100
    assert found.stalled() is None


@given(st.lists(st.integers(0, 5), min_size=1, max_size=8))
def test_the_lowest_count_is_named(counts):
    found, clock = watch(counts)
    clock.now = 1000
    record = found.stalled()
    if not any(counts):
        assert record is None
        return
    assert record["count"] == min(counts)
    assert counts[record["rank"]] == min(counts)
    assert record["level"] == (len(counts) > 1 and len(set(counts)) == 1)
