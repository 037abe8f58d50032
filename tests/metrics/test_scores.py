"""Scores by name are scikit-learn's, with weights that count as repetitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn import metrics as sk

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.metrics.scores import (
    ALL_CLASSIFICATION_SCORES,
    ALL_REGRESSION_SCORES,
    CLASSIFICATION_SCORES,
    as_loss,
    check_score,
    is_better,
    score_rows,
)


def votes(k, n=300, seed=0):
    """Class codes, votes that lean to them (no probabilities yet), and weights."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, k, n)
    raw = rng.gamma(1.0, size=(n, k)) + 1.5 * np.eye(k)[y] * rng.random((n, 1))
    return y, 3 * raw, rng.integers(1, 5, n)


def by_scikit_learn(name, y, raw, w):
    proba = raw / raw.sum(axis=1, keepdims=True)
    k = proba.shape[1]
    found = proba.argmax(axis=1)
    one = proba[:, 1] if k == 2 else proba
    ways = {
        "auc": lambda: (
            sk.roc_auc_score(y, one, sample_weight=w, multi_class="ovr")
            if k == 2
            else np.mean([sk.roc_auc_score(y == c, proba[:, c], sample_weight=w) for c in range(k)])
        ),
        "log_loss": lambda: sk.log_loss(y, proba, sample_weight=w),
        "accuracy": lambda: sk.accuracy_score(y, found, sample_weight=w),
        "balanced_accuracy": lambda: sk.recall_score(y, found, sample_weight=w, average="macro"),
        "f1": lambda: sk.f1_score(
            y, found, sample_weight=w, average="binary" if k == 2 else "macro"
        ),
        "average_precision": lambda: sk.average_precision_score(y, one, sample_weight=w),
        "brier": lambda: sk.brier_score_loss(y, one, sample_weight=w),
        "mcc": lambda: sk.matthews_corrcoef(y, found, sample_weight=w),
    }
    return ways[name]()


@pytest.mark.parametrize("k", [2, 4])
@pytest.mark.parametrize("name", ALL_CLASSIFICATION_SCORES)
def test_scores_of_classes(name, k):
    y, raw, w = votes(k)
    assert score_rows(name, y, raw, w) == pytest.approx(by_scikit_learn(name, y, raw, w), rel=1e-12)
    # No weights are weights of one; a weight counts as repetition.
    assert score_rows(name, y, raw) == pytest.approx(
        by_scikit_learn(name, y, raw, np.ones(len(y))), rel=1e-12
    )
    repeated = score_rows(name, np.repeat(y, w), np.repeat(raw, w, axis=0))
    assert score_rows(name, y, raw, w) == pytest.approx(repeated, rel=1e-9)


@pytest.mark.parametrize("digits", [0, 1, 2])
def test_the_area_of_tied_scores_and_of_rows_without_weight(digits):
    rng = np.random.default_rng(digits)
    y, p = rng.integers(0, 2, 200), np.round(rng.random(200), digits)
    w = rng.integers(0, 3, 200)
    found = score_rows("auc", y, np.stack([1 - p, p], axis=1), w)
    assert found == pytest.approx(sk.roc_auc_score(y, p, sample_weight=w), rel=1e-12)
    with pytest.raises(ValueError, match="NaN"):
        score_rows("auc", y, np.stack([1 - p, np.where(y, p, np.inf)], axis=1), w)


@pytest.mark.parametrize("name", ALL_REGRESSION_SCORES)
def test_scores_of_numbers(name):
    rng = np.random.default_rng(1)
    y, w = rng.gamma(2.0, size=301), rng.integers(1, 5, 301)
    p = y * rng.uniform(0.5, 1.5, 301)
    ways = {
        "rmse": sk.root_mean_squared_error,
        "mae": sk.mean_absolute_error,
        "r2": sk.r2_score,
        "mape": sk.mean_absolute_percentage_error,
        "medae": sk.median_absolute_error,
        "rmsle": sk.root_mean_squared_log_error,
    }
    assert score_rows(name, y, p) == pytest.approx(ways[name](y, p), rel=1e-12)
    assert score_rows(name, y, p, w) == pytest.approx(ways[name](y, p, sample_weight=w), rel=1e-12)
    # The weighted median may lie between two values that repetition would decide for.
    tolerance = 0.02 if name == "medae" else 1e-9
    repeated = score_rows(name, np.repeat(y, w), np.repeat(p, w))
    assert score_rows(name, y, p, w) == pytest.approx(repeated, rel=tolerance)


def test_by_hand():
    y = np.array([0, 0, 0, 1])
    half = np.array([[0.9, 0.1], [0.6, 0.4], [0.4, 0.6], [0.2, 0.8]])
    # Two of three zeros and the one are right: recalls 2/3 and 1; precision of the one 1/2.
    assert score_rows("balanced_accuracy", y, half) == pytest.approx(5 / 6)
    assert score_rows("f1", y, half) == pytest.approx(2 / 3)
    assert score_rows("brier", y, half) == pytest.approx((0.01 + 0.16 + 0.36 + 0.04) / 4)
    # tp 1, tn 2, fp 1, fn 0: (2 − 0) / sqrt(2 · 1 · 3 · 2).
    assert score_rows("mcc", y, half) == pytest.approx(2 / math.sqrt(12))
    p, t = np.array([1.0, 2.0, 8.0]), np.array([2.0, 2.0, 4.0])
    assert score_rows("mape", t, p) == pytest.approx((0.5 + 0 + 1) / 3)
    assert score_rows("medae", t, p) == 1.0
    assert math.isnan(score_rows("rmsle", t, -p))


@pytest.mark.parametrize("name", ALL_CLASSIFICATION_SCORES)
def test_a_single_class_gives_a_number_or_nan_and_no_warning(name, recwarn):
    y, raw, _ = votes(3)
    score = score_rows(name, np.zeros_like(y), raw)
    assert math.isnan(score) == (name in ("auc", "average_precision"))
    assert not recwarn.list


def test_which_way_is_better():
    smaller = {"log_loss", "brier", "rmse", "mae", "mape", "medae", "rmsle"}
    for name in ALL_CLASSIFICATION_SCORES + ALL_REGRESSION_SCORES:
        assert is_better(name, 0.1, 0.2) == (name in smaller)
        assert (as_loss(name, 0.1) < as_loss(name, 0.2)) == (name in smaller)
        assert as_loss(name, float("nan")) == math.inf


@pytest.mark.parametrize(
    ("name", "regression", "hint"),
    [
        ("roc_auc", False, "Did you mean 'auc'?"),
        ("balanced_acuracy", False, "Did you mean 'balanced_accuracy'?"),
        ("matthews_corrcoef", False, "Did you mean 'mcc'?"),
        ("rmse", False, "That is for numbers."),
        ("accuracy", True, "That is for classes."),
        ("neg_mean_squared_error", True, "Did you mean 'rmse'?"),
        ("median_absolute_error", True, "Did you mean 'medae'?"),
    ],
)
def test_a_score_that_the_task_cannot_have(name, regression, hint):
    with pytest.raises(ConfigurationError) as caught:
        check_score(name, "metric", regression=regression, every=True)
    assert caught.value.code == "invalid_param"
    assert str(caught.value).endswith(hint)


def test_members_are_stopped_by_fewer_scores():
    for name in CLASSIFICATION_SCORES:
        check_score(name, "stopMetric", regression=False)
    with pytest.raises(ConfigurationError, match="stopMetric must be one of auc, log_loss, acc"):
        check_score("f1", "stopMetric", regression=False)
    check_score("f1", "metric", regression=False, every=True)
