"""Two ranks against plain Keras: the same gradients, weights, metrics; and what is refused.

One gang runs all of it (`tests.deep.on_ranks`), since each process imports TensorFlow.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.deep import on_ranks


@pytest.fixture
def ranks(coupled_ranks):
    return coupled_ranks


@pytest.mark.parametrize("weights", ["plain", "weighted"])
def test_two_ranks_are_one_process_on_the_whole_batch(ranks, weights):
    first, second = (r[weights] for r in ranks)
    assert first["moved"] > 0.1
    assert first["gap"] < 1e-5
    assert first["sha256"] == second["sha256"]
    assert first["losses"] == second["losses"]


def test_metrics_are_those_of_all_rows(ranks):
    first, second = (r["plain"] for r in ranks)
    assert first["logs"] == second["logs"]
    assert first["logs"]["accuracy"] == pytest.approx(first["wanted"]["accuracy"], abs=1e-6)
    assert first["logs"]["loss"] == pytest.approx(first["wanted"]["loss"], rel=1e-5)


def test_one_rank_is_plain_keras_bit_by_bit(ranks):
    assert all(ranks[0]["alone"])


def test_the_loss_curve_of_two_ranks_is_that_of_one(ranks):
    """Several inputs, row weights, uneven shards and a tail; 52 steps of SGD in float32."""
    curve, weights = ranks[0]["input"]["together"]
    assert ranks[1]["input"]["together"] == [curve, weights]
    wanted, wanted_weights = ranks[0]["input_alone"]
    assert len(curve) == 52
    assert np.mean(curve[26:]) < np.mean(curve[:26])
    np.testing.assert_allclose(curve, wanted, rtol=1e-5)
    for one, other in zip(weights, wanted_weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_batches_are_handed_over_without_a_copy(ranks):
    assert ranks[0]["input"]["shared"] == [True, True, True]


def test_state_is_averaged_and_the_rest_untouched(ranks):
    assert ranks[0]["state"] == ranks[1]["state"] == [0.5, 0.5, True]


def test_weights_that_differ_are_noticed(ranks):
    for rank in ranks:
        assert "[weights_differ]" in rank["differ"]
        assert "epoch 5" in rank["differ"]
        assert "rank 1 differ" in rank["differ"]


def test_a_loss_that_is_not_finite_stops_all_ranks_in_its_step(ranks):
    for rank in ranks:
        code, message, epochs_before = rank["nan"]
        assert code == "diverged"
        assert "step 3 of epoch 2" in message
        assert epochs_before == 1


@pytest.mark.parametrize("code", on_ranks.BAD_BUILDERS)
def test_models_that_are_refused(ranks, code):
    found, message = ranks[0]["refused"][code]
    assert found == code, message


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("sparse", ["codes", 2, False, [1, 0]]),
        ("one_hot", ["one_hot", 2, True, [[0, 1], [1, 0]]]),
        ("binary", ["binary", 1, False, [[1], [0]]]),
    ],
)
def test_what_a_loss_wants(ranks, name, wanted):
    assert ranks[0]["facts"][name] == wanted
