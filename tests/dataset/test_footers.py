"""Footers that are kept within a number of bytes."""

from __future__ import annotations

from types import SimpleNamespace

from sparkml_dist.dataset.footers import Footers, footer_bytes


def _footer(columns, groups):
    return SimpleNamespace(num_columns=columns, num_row_groups=groups)


def test_the_oldest_go_when_there_is_no_room():
    one = _footer(30, 4)
    footers = Footers(3 * footer_bytes(one))
    for key in range(5):
        footers.keep(key, one)
    assert [footers.get(key) is one for key in range(5)] == [False, False, True, True, True]


def test_a_large_one_makes_room_by_several():
    small, large = _footer(10, 1), _footer(10, 2)
    footers = Footers(3 * footer_bytes(small))
    for key in "abc":
        footers.keep(key, small)
    footers.keep("d", large)
    assert [key for key in "abcd" if footers.get(key) is not None] == ["c", "d"]


def test_what_is_larger_than_all_room_is_not_kept():
    small = _footer(1, 1)
    footers = Footers(footer_bytes(small))
    footers.keep("small", small)
    footers.keep("large", _footer(2, 1))
    assert footers.get("small") is small
    assert footers.get("large") is None


def test_a_footer_kept_twice_counts_once():
    one = _footer(10, 1)
    footers = Footers(2 * footer_bytes(one))
    for key in ("a", "a", "a", "b"):
        footers.keep(key, one)
    assert footers.get("a") is one
    assert footers.get("b") is one
