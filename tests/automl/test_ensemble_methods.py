"""Weights of an ensemble's trials: greedy and stacked, against closed forms and each other."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import nnls

from sparkml_dist.automl.ensemble_methods import (
    better_method,
    cross_validated,
    ensemble_weights,
    weighted_mean,
)
from sparkml_dist.members.held_out import HeldOutRows
from sparkml_dist.metrics.scores import score_rows


def numbers(rows=400, trials=5, seed=0):
    """Predictions of a target with errors of their own and one that all share."""
    rng = np.random.default_rng(seed)
    y = rng.normal(size=rows)
    spread = np.linspace(0.3, 1.5, trials)
    errors = rng.normal(size=(rows, trials)) * spread + 0.3 * rng.normal(size=(rows, 1))
    outputs = (y[:, None] + errors).astype(np.float32)
    return HeldOutRows(outputs, y, rng.integers(1, 4, rows).astype(float))


def classes(rows=400, trials=4, k=3, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, k, rows)
    raw = rng.normal(size=(rows, trials, k)) + 1.5 * np.eye(k)[y][:, None, :]
    proba = np.exp(raw) / np.exp(raw).sum(axis=2, keepdims=True)
    return HeldOutRows(proba.astype(np.float32), y, np.ones(rows))


def test_stacked_numbers_have_the_weights_of_constrained_least_squares():
    rows = numbers()
    found = ensemble_weights("stacked", rows, "rmse", 0)
    scale, heavy = np.sqrt(rows.weight), 1e4
    A = np.vstack([rows.outputs * scale[:, None], np.full((1, 5), heavy)])
    wanted, _ = nnls(A, np.append(rows.y * scale, heavy))
    wanted = np.where(wanted < 0.01, 0, wanted)
    assert found == pytest.approx(wanted / wanted.sum(), abs=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_stacked_classes_lose_no_more_than_any_trial_or_the_greedy_selection(seed):
    rows = classes(seed=seed)
    found = ensemble_weights("stacked", rows, "log_loss", 0)
    assert found.sum() == pytest.approx(1) and (found >= 0).all()

    def loss(weights):
        return score_rows("log_loss", rows.y, weighted_mean(rows, weights), rows.weight)

    others = [*np.eye(4), ensemble_weights("greedy", rows, "log_loss", 0)]
    assert all(loss(found) <= loss(other) + 1e-6 for other in others)


def test_a_trial_of_hardly_any_weight_is_left_out():
    rows = numbers()
    poor = rows.outputs[:, 4] + np.float32(30)
    rows = HeldOutRows(np.column_stack([rows.outputs[:, :4], poor]), rows.y, rows.weight)
    assert ensemble_weights("stacked", rows, "rmse", 0)[4] == 0


def test_scores_are_of_rows_that_had_no_part_in_the_weights():
    rows, key = numbers(300, 40, seed=1), np.arange(300)
    found = cross_validated(rows, key, "rmse", 0)
    assert set(found) == {"greedy", "stacked"}
    for method, score in found.items():
        seen = weighted_mean(rows, ensemble_weights(method, rows, "rmse", 0))
        assert score > score_rows("rmse", rows.y, seen, rows.weight)
    assert found == cross_validated(rows, key, "rmse", 0)


def test_a_fold_without_a_score_does_not_count():
    rows = classes(60, k=2)
    first = HeldOutRows(rows.outputs, np.zeros(60, int), rows.weight)
    assert cross_validated(first, np.arange(60), "auc", 0) == {}
    # All rows of one key are in one fold, so that the others have nothing to score.
    assert all(map(math.isfinite, cross_validated(rows, np.arange(60) // 12, "auc", 0).values()))


@pytest.mark.parametrize(
    ("scores", "metric", "method"),
    [
        ({"greedy": 0.8, "stacked": 0.9}, "auc", "stacked"),
        ({"greedy": 0.8, "stacked": 0.9}, "log_loss", "greedy"),
        ({"greedy": 0.8, "stacked": 0.8}, "auc", "greedy"),
        ({}, "auc", "greedy"),
    ],
)
def test_the_greedy_selection_is_kept_unless_the_other_is_better(scores, metric, method):
    assert better_method(scores, metric) == method
