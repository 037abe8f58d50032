"""Batches joined until there are rows enough: none lost, none small but the last."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from sparkml_dist.cluster.joined_batches import joined_batches


@given(st.lists(st.integers(0, 9), max_size=12), st.integers(1, 20))
def test_rows_stay_and_batches_are_large(lengths, least):
    starts = [sum(lengths[:i]) for i in range(len(lengths))]
    batches = [pa.array(range(a, a + n), pa.int64()) for a, n in zip(starts, lengths, strict=True)]
    found = list(joined_batches(iter(batches), least))
    assert [v for array in found for v in array.to_pylist()] == list(range(sum(lengths)))
    assert all(len(array) >= least for array in found[:-1])


def test_a_large_batch_is_not_copied():
    batch = pa.array([1, 2, 3])
    (found,) = joined_batches(iter([batch]), 2)
    assert found is batch
