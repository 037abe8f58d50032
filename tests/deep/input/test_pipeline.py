"""Batches of a rank: all rows once, whole, padded with weight 0, and the same at any rank count."""

from __future__ import annotations

import threading
import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkml_dist.deep.input import pipeline, read_ahead
from sparkml_dist.deep.input.inputs import InputPart, InputSpec
from sparkml_dist.deep.input.pipeline import BatchStream, EpochStreams
from sparkml_dist.errors import StorageError
from tests.deep.shards_in_memory import Shards, copied, ids_by_step, ids_of

uneven = st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=4), min_size=1, max_size=4)
uneven = uneven.filter(lambda groups: any(map(any, groups)))


@given(uneven, st.integers(1, 3), st.integers(1, 9), st.integers(0, 4), st.booleans())
def test_counting(groups, ranks, batch, more_lanes, sparse):
    shards = Shards(groups, sparse=sparse)
    by_rank = shards.batches(ranks, batch * ranks, ranks + more_lanes)
    assert len({len(batches) for batches in by_rank}) == 1
    assert len({len(b.y) for batches in by_rank for b in batches}) == 1
    seen = Counter()
    for batches in by_rank:
        for b in batches:
            assert len(b.x) == len(b.y) == len(b.weight)
            assert b.weight[: b.rows].tolist() == [1.0] * b.rows
            assert not b.weight[b.rows :].any()
            seen.update(ids_of(b))
            ids = b.x[: b.rows, 0]
            assert (b.x[: b.rows] == np.stack([ids, ids * 2, ids * 0, -ids], axis=1)).all()
            assert (b.y[: b.rows] == ids % 2).all()
            if b.rows:  # rows that stand in are real ones
                assert set(b.x[:, 0]) == set(ids)
                assert (b.y == b.x[:, 0] % 2).all()
    assert seen == Counter(range(1, shards.n + 1))


@given(uneven, st.integers(1, 3), st.integers(1, 9), st.integers(0, 3), st.integers(0, 30))
def test_beginning_in_the_middle_of_an_epoch(groups, ranks, batch, more_lanes, start):
    shards = Shards(groups, weighted=True)
    lanes = ranks + more_lanes
    whole = shards.batches(ranks, batch * ranks, lanes, epoch=2)
    rest = shards.batches(ranks, batch * ranks, lanes, epoch=2, start_step=start)
    for all_batches, late in zip(whole, rest, strict=True):
        assert len(late) == max(0, len(all_batches) - start)
        for a, b in zip(all_batches[start:], late, strict=True):
            for name in ("x", "y", "weight", "rows"):
                assert np.array_equal(getattr(a, name), getattr(b, name))


@given(uneven, st.integers(1, 40), st.integers(6, 13))
def test_a_step_has_the_same_rows_at_any_number_of_ranks(groups, batch, lanes):
    shards = Shards(groups)
    wanted = ids_by_step(shards.batches(1, batch, lanes))
    for ranks in (2, 3, 4, 6):
        assert ids_by_step(shards.batches(ranks, batch, lanes)) == wanted


def test_going_on_at_another_number_of_ranks_sees_every_row_once():
    shards = Shards([[40, 31], [57, 3], [26]])
    before = ids_by_step(shards.batches(2, 16, 12))[:4]
    after = ids_by_step(shards.batches(3, 16, 12, start_step=4))
    assert sorted(i for step in before + after for i in step) == list(range(1, shards.n + 1))


def test_little_is_read_to_begin_late():
    shards = Shards([[10] * 100])
    shards.batches(1, 10, 2, start_step=90)
    assert len(shards.reads) <= 12


def test_weights_follow_their_rows():
    for b in Shards([[7, 5], [9]], weighted=True).batches(1, 4)[0]:
        assert (b.weight[: b.rows] == b.x[: b.rows, 0] % 5).all()
        assert not b.weight[b.rows :].any()


def test_a_batch_mixes_shards_and_row_groups_and_epochs_differ():
    shards = Shards([[50] * 8] * 4)
    first, second = (shards.batches(1, 48, 12, epoch=e)[0] for e in (0, 1))
    for batches in (first, second):
        groups = [{(i - 1) // 50 for i in ids_of(b)} for b in batches[:-3]]
        assert min(map(len, groups)) >= 8
        assert min(len({g // 8 for g in found}) for found in groups) >= 2
    assert any((a.x != b.x).any() for a, b in zip(first, second, strict=True))


def test_rows_of_one_row_group_are_shuffled():
    (batches,) = Shards([[400]]).batches(1, 40, 4)
    ids = np.concatenate([ids_of(b) for b in batches])
    assert abs(np.corrcoef(ids, np.arange(400))[0, 1]) < 0.2
    # Each lane's rows come from everywhere in it, not from one end.
    assert all(max(ids_of(b)) - min(ids_of(b)) > 200 for b in batches)


def test_a_row_group_that_lanes_share_is_read_once():
    shards = Shards([[30]])
    shards.batches(1, 12, 12)
    assert shards.reads == [(0, 0)]


def test_lanes_that_must_not_hold_whole_row_groups(monkeypatch):
    shards = Shards([[100, 80], [90]])
    wanted = [ids_of(b) for b in shards.batches(1, 12, 6)[0]]
    monkeypatch.setattr(pipeline, "HELD_BYTES", 1)
    held = []
    take = read_ahead.ReadAhead.next

    def remembering(self):
        held.append(take(self))
        return held[-1]

    monkeypatch.setattr(read_ahead.ReadAhead, "next", remembering)
    assert [ids_of(b) for b in shards.batches(1, 12, 6)[0]] == wanted
    assert max(map(len, held)) == 2 * 100 // 6


def test_image_shape():
    inputs = InputSpec.single(4, (2, 2, 1))
    batch = Shards([[6]]).batches(1, 3, inputs=inputs)[0][0]
    assert batch.x.shape == (3, 2, 2, 1)
    assert batch.x.dtype == np.float32


@pytest.mark.parametrize("sparse", [False, True])
def test_several_inputs(sparse):
    inputs = InputSpec(
        (InputPart("tall", (0, 3), (2, 1)), InputPart("code", (1,), (), "int32", source="shop"))
    )
    for b in Shards([[7, 6]], sparse=sparse).batches(1, 4, inputs=inputs)[0]:
        assert b.x["tall"].shape == (4, 2, 1)
        assert (b.x["code"].shape, b.x["code"].dtype) == ((4,), np.int32)
        assert (b.x["code"] == 2 * b.x["tall"][:, 0, 0]).all()
        assert (b.x["tall"][:, 0, 0] == -b.x["tall"][:, 1, 0]).all()


def test_reads_on_threads_of_its_own_and_not_too_far_ahead(monkeypatch):
    monkeypatch.setattr(read_ahead, "AHEAD_BYTES", 0)
    shards = Shards([[10] * 200])
    with shards.stream(shards.plan(10, 1)) as stream:
        next(iter(stream))
        time.sleep(0.2)
        # One in hand, one for each thread and one more, and those of the batches that wait.
        assert len(shards.reads) <= 12
    assert {name.rpartition("_")[0] for name in shards.threads} == {"sparkml_dist-reader"}
    assert not [t for t in threading.enumerate() if "sparkml_dist" in t.name]


def test_a_batch_that_is_held_keeps_its_memory():
    shards = Shards([[10] * 20])
    with shards.stream(shards.plan(10, 2)) as stream:
        held = [(b, copied(b)) for b in stream]
    for batch, copy in held:
        assert (batch.x == copy.x).all()


def test_an_error_of_the_reader_names_the_row_group():
    def broken(shard, groups):
        raise OSError("gone")

    def refused(shard, groups):
        raise StorageError("file_not_found", "Shard 0 is gone.", "Cut it anew.")

    plan = Shards([[4]]).plan(2, 1)
    for read, code, message in (
        (broken, "file_not_read", "Row group 0 of shard 0 cannot be read: OSError: gone"),
        (refused, "file_not_found", r"Shard 0 is gone. \(In row group 0 of shard 0.\)"),
    ):
        with (
            BatchStream(read, plan, [0], 4) as stream,
            pytest.raises(StorageError, match=message) as raised,
        ):
            list(stream)
        assert raised.value.code == code


def test_a_row_group_of_other_rows_than_planned():
    shards = Shards([[9]])
    plan = Shards([[8]]).plan(2, 1)
    with (
        shards.stream(plan) as stream,
        pytest.raises(StorageError, match="9 rows instead of the planned 8"),
    ):
        list(stream)


# -- one epoch after the other ------------------------------------------------------------------


def test_the_next_epoch_is_begun_when_one_runs_out():
    shards = Shards([[10] * 6])
    made = []

    def make(epoch, start_step):
        made.append((epoch, start_step))
        return shards.stream(shards.plan(10, 2, epoch), start_step=start_step)

    with EpochStreams(make, 3) as streams:
        for epoch, start in ((0, 2), (1, 0), (2, 0)):
            with streams(epoch, start) as stream:
                steps = [ids_of(b) for b in stream]
            assert len(steps) == 6 - start
            assert (epoch + 1, 0) in made or epoch == 2
    assert made == [(0, 2), (1, 0), (2, 0)]
    assert not [t for t in threading.enumerate() if "sparkml_dist" in t.name]


def test_stopping_early_ends_what_was_begun():
    shards = Shards([[10] * 6])

    def make(epoch, start_step):
        return shards.stream(shards.plan(10, 2, epoch))

    with EpochStreams(make, 3) as streams, streams(0) as stream:
        list(stream)
    assert not [t for t in threading.enumerate() if "sparkml_dist" in t.name]
