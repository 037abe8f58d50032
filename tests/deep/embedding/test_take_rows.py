"""Parts of a table that change hands: every row arrives where it belongs."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sparkml_dist.deep.embedding.marks import Shard, take_rows


@given(st.integers(1, 40), st.integers(1, 5), st.integers(1, 5), st.integers(0, 2))
def test_any_number_of_owners_to_any_other(rows, before, after, spare):
    table = np.arange(rows * 3).reshape(rows, 3)
    parts = []
    for index in range(before):
        held = table[index::before]
        parts.append(np.concatenate([held, np.full((spare, 3), -1)]))  # rows that only fill up
    for index in range(after):
        wanted = Shard(rows, index, after)
        target = np.full((len(wanted) + spare, 3), -7)
        for former, part in enumerate(parts):
            take_rows(target, wanted, part, Shard(rows, former, before))
        assert (target[: len(wanted)] == table[index::after]).all()
        assert (target[len(wanted) :] == -7).all()
