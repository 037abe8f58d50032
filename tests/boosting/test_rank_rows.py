"""What each rank reads: every row once, in equal parts, however the shards are cut."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkml_dist.boosting.rank_rows import rank_pieces


def data(shards):
    infos = [
        SimpleNamespace(index=i, row_groups=tuple(g), rows=sum(g)) for i, g in enumerate(shards)
    ]
    return SimpleNamespace(shards=infos, n_rows=sum(i.rows for i in infos))


def rows_of(cut, piece):
    """The numbers of the rows of a piece, as (shard, place in the shard)."""
    groups = cut.shards[piece.shard].row_groups
    places = []
    for group in piece.row_groups:
        begin = sum(groups[:group])
        places += range(begin, begin + groups[group])
    return [(piece.shard, place) for place in places[piece.start : piece.stop]]


@given(
    shards=st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=4), min_size=1, max_size=4),
    size=st.integers(1, 6),
    most=st.integers(1, 20),
)
def test_every_row_is_read_by_one_rank_and_none_waits_for_the_others(shards, size, most):
    cut = data(shards)
    parts = [
        [row for piece in rank_pieces(cut, rank, size, most) for row in rows_of(cut, piece)]
        for rank in range(size)
    ]
    every = [(s, p) for s, groups in enumerate(shards) for p in range(sum(groups))]
    assert [row for part in parts for row in part] == every
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_row_groups_are_joined_up_to_a_number_of_rows():
    cut = data([[10, 10, 10, 10], [10]])
    pieces = rank_pieces(cut, 0, 1, 25)
    assert [p.row_groups for p in pieces] == [(0, 1), (2, 3), (0,)]
    assert [p.row_groups for p in rank_pieces(cut, 0, 1, 1)] == [(0,), (1,), (2,), (3,), (0,)]


@pytest.mark.parametrize("rank", [0, 1])
def test_a_row_group_is_divided_between_ranks(rank):
    (piece,) = rank_pieces(data([[7]]), rank, 2, 100)
    assert (piece.start, piece.stop) == [(0, 3), (3, 7)][rank]
