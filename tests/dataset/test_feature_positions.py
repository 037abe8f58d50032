"""Positions of features as bits in the notes of shards."""

from __future__ import annotations

import pytest

from sparkml_dist.dataset.feature_positions import all_positions, packed_positions


@pytest.mark.parametrize("positions", [[], [0], [7], [8], [3, 17, 1999], list(range(2000))])
def test_there_and_back(positions):
    assert all_positions([packed_positions(positions)]) == tuple(positions)


def test_all_of_several_shards():
    notes = [packed_positions(p) for p in ([1, 9], [], [0, 300], [1, 9])]
    assert all_positions(notes) == (0, 1, 9, 300)
    assert all_positions([]) == ()
    assert all_positions([[4, 2], packed_positions([3])]) == (2, 3, 4)  # of version 0.1.0


def test_a_note_has_a_bound():
    assert len(packed_positions(range(2000))) == 336
