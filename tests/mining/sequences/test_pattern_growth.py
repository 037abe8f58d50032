"""Pattern growth against counting every pattern that occurs, under every limit."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.mining.sequences.event_database import EventDatabase
from sparkml_dist.mining.sequences.limits import Limits
from sparkml_dist.mining.sequences.pattern_growth import grow, matches_of, occurrences
from tests.mining.sequences.oracle import frequent_sequences

events = st.lists(
    st.tuples(st.integers(1, 3), st.sets(st.integers(0, 3), min_size=1, max_size=3)),
    min_size=0,
    max_size=5,
)
limits = st.builds(
    Limits,
    max_length=st.sampled_from([None, 1, 3]),
    min_gap=st.sampled_from([None, 2.0]),
    max_gap=st.sampled_from([None, 2.0, 3.0]),
    max_span=st.sampled_from([None, 2.0, 5.0]),
)


def database(sequences) -> EventDatabase:
    every = [event for sequence in sequences for event in sequence]
    items = [sorted(event) for _, event in every]
    return EventDatabase.build(
        np.array(list(itertools.chain.from_iterable(items)), dtype=np.int32),
        np.array([len(i) for i in items], dtype=np.int64),
        np.array([len(s) for s in sequences], dtype=np.int64),
        np.array([time for time, _ in every], dtype=np.float64),
    )


def timed(gaps):
    """Events at ascending times, from the gaps between them."""
    times = itertools.accumulate(gap for gap, _ in gaps)
    return [(float(time), event) for time, (_, event) in zip(times, gaps)]


def mined(sequences, least, limit) -> dict:
    data = database(sequences)
    found = {}
    for item, matches, count in occurrences(data, least):
        prefix = ((item,),)
        found[prefix] = count
        for pattern, n in grow(data, prefix, matches, least, limit):
            assert pattern not in found
            found[pattern] = n
    return found


@given(st.lists(events, min_size=1, max_size=5), st.integers(1, 3), limits)
def test_patterns_are_those_of_trying_all(drawn, least, limit):
    sequences = [timed(gaps) for gaps in drawn]
    expected = frequent_sequences(sequences, least, limit)
    assert mined(sequences, least, limit) == expected
    data = database(sequences)
    for pattern, count in itertools.islice(expected.items(), 20):
        assert len({*data.sequence[matches_of(data, pattern, limit).end]}) == count


def test_a_later_end_that_a_gap_needs_is_not_lost():
    # (a)(b) with maxGap 1 matches by the second a only.
    sequences = [[(0.0, {0}), (5.0, {0}), (6.0, {1})]] * 2
    assert mined(sequences, 2, Limits(max_gap=1.0)) == {
        ((0,),): 2,
        ((1,),): 2,
        ((0,), (1,)): 2,
    }


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        (Limits(min_gap=-1.0), "minGap must be at least 0"),
        (Limits(max_span=float("nan")), "maxSpan must be at least 0"),
        (Limits(min_gap=3.0, max_gap=2.0), "maxGap .* less than minGap"),
    ],
)
def test_limits_that_make_no_sense(limit, message):
    with pytest.raises(ConfigurationError, match=message):
        limit.check()
