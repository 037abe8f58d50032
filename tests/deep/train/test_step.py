"""A step of two ranks under every setting, against plain Keras on the whole batch."""

from __future__ import annotations

import math
import os

import pytest

from tests.deep import on_ranks_steps


@pytest.fixture(scope="module")
def steps(coupled_ranks):
    return [rank["steps"] for rank in coupled_ranks]


@pytest.mark.parametrize(
    ("case", "transport"),
    [
        ("memory", "memory"),
        ("horovod", "horovod"),
        ("eager", "memory"),
        ("accumulated", "memory"),
        ("clipped", "memory"),
        ("keras_clips", "memory"),
        ("linear", "memory"),
        ("schedule", "memory"),
    ],
)
def test_two_ranks_are_one_process(steps, case, transport):
    first, second = (rank[case] for rank in steps)
    assert first["transport"] == second["transport"] == transport
    assert first["gap"] < 1e-5
    assert first["sha256"] == second["sha256"]
    assert first["losses"] == second["losses"]
    assert first["logs"] == second["logs"]
    assert first["logs"]["accuracy"] == pytest.approx(first["accuracy"], abs=1e-6)


def test_both_ways_of_reduction_agree(steps):
    memory, horovod = steps[0]["memory"], steps[0]["horovod"]
    assert memory["losses"] == pytest.approx(horovod["losses"], rel=1e-6)


def test_compressed_gradients_are_nearly_the_same(steps):
    first, second = (rank["halves"] for rank in steps)
    assert first["transport"] == "horovod"
    # Gradients are rounded to 11 bits, weights are not.
    assert 1e-6 < first["gap"] < 2**-11
    assert first["sha256"] == second["sha256"]


def test_clipping_matters_here(steps):
    assert steps[0]["clipped"]["sha256"] != steps[0]["memory"]["sha256"]
    assert steps[0]["clipped"]["losses"] == pytest.approx(
        steps[0]["keras_clips"]["losses"], rel=1e-6
    )


def test_two_clippings_are_refused(steps):
    assert "[conflicting_params]" in steps[0]["two_clippings"]
    assert "clipNorm is 2" in steps[0]["two_clippings"]
    assert "clipnorm=1" in steps[0]["two_clippings"]


def test_a_warm_up_leaves_the_optimizers_own_rate_alone(steps):
    told = steps[0]["linear"]
    assert told["own_rate"] == pytest.approx(on_ranks_steps.RATE)
    wanted = [on_ranks_steps.RATE * (1 + min(1, (i + 1) / on_ranks_steps.WARMUP)) for i in range(6)]
    assert told["rates"] == pytest.approx(wanted)


def test_bfloat16_trains_nearly_the_same(steps):
    first, second = (rank["bfloat16"] for rank in steps)
    assert first["sha256"] == second["sha256"]
    # One process that rounds as well is no further away than one rounding to 8 bits; float32,
    # which would be 1e-7 away, is not what ran.
    assert 1e-5 < first["gap"] < 2**-8
    assert first["losses"] == pytest.approx(steps[0]["memory"]["losses"], rel=2**-8)
    assert first["losses"] != steps[0]["memory"]["losses"]


def test_an_overflow_on_one_rank_leaves_the_step_out_on_all(steps):
    first, second = (rank["overflow"] for rank in steps)
    assert first == second
    assert all(math.isfinite(loss) for loss, _, _ in first["told"])
    assert [moved for _, moved, _ in first["told"]] == [True, True, False, True, True, True]
    scales = [scale for _, _, scale in first["told"]]
    assert scales[2] == scales[1] / 2 == scales[3]


def test_double_precision_has_no_part_in_the_memory(steps):
    assert [rank["other_types"] for rank in steps] == [True, True]


def test_a_rank_that_has_gone_is_told_in_one_line(steps):
    assert steps[0]["gone"] == "No more shared memory with another rank."


def test_horovods_threads_rest_where_gradients_go_another_way(steps):
    normal, patient = os.SCHED_OTHER, os.SCHED_BATCH
    for rank in steps:
        pace = rank["pace"]
        assert pace["memory"] == pace["again"] == ["10.0", [patient]]
        assert pace["horovod"] == [None, [normal]]
        assert pace["own"] == normal


def test_a_chosen_cycle_stays(steps):
    assert [rank["pace"]["chosen"][0] for rank in steps] == ["2.0", "2.0"]


def test_a_loss_is_looked_at_one_step_later_under_its_own_number(steps):
    assert steps[0]["watched"] == [
        "8: The loss became nan in step 7 of epoch 2.",
        "end: The loss became inf in step 1 of epoch 3.",
    ]
