"""Shards from a memory budget."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkml_dist.dataset.sizing import plan_sizing
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.sizes import parse_size


@given(
    rows=st.integers(1, 10**9),
    row_bytes=st.integers(4, 10**5),
    budget=st.integers(2**20, 2**34),
)
def test_a_shard_fits_three_times_into_the_budget(rows, row_bytes, budget):
    try:
        sizing = plan_sizing(rows, row_bytes, shards=None, memory_per_task=budget)
    except ConfigurationError as error:
        assert error.code == "memory_too_small"
        assert min(rows, 256) * row_bytes * 3 > budget
        return
    expected = rows / sizing.shards * row_bytes
    assert expected * 3 <= budget * 1.001 or sizing.shards == rows
    assert 1 <= sizing.shards <= rows
    assert sizing.row_group_rows >= 1


def test_given_number_of_shards():
    assert plan_sizing(100, 8, shards=7, memory_per_task=None).shards == 7


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"shards": 0}, "invalid_param"),
        ({"shards": 2.5}, "invalid_param"),
        ({"shards": 101}, "too_many_shards"),
        ({"shards": 2, "memory_per_task": "1g"}, "conflicting_params"),
        ({"memory_per_task": "lots"}, "invalid_param"),
        ({"memory_per_task": "1k"}, "memory_too_small"),
    ],
)
def test_refusals(arguments, code):
    with pytest.raises(ConfigurationError) as caught:
        plan_sizing(100, 400, **{"shards": None, "memory_per_task": None, **arguments})
    assert caught.value.code == code


def test_the_hint_of_a_small_budget_is_enough():
    with pytest.raises(ConfigurationError) as caught:
        plan_sizing(10_000, 1000, shards=None, memory_per_task="16k")
    suggested = caught.value.hint.split("'")[1]
    assert plan_sizing(10_000, 1000, shards=None, memory_per_task=suggested).shards > 1


@pytest.mark.parametrize(
    ("text", "size"), [("512m", 512 << 20), ("1.5g", 3 << 29), (1000, 1000), ("64KiB", 65536)]
)
def test_parse_size(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("bad", ["", "m", "-1g", 0, True, None, "1x"])
def test_parse_size_refuses(bad):
    with pytest.raises(ConfigurationError):
        parse_size(bad)
