"""Losses of gradient boosting against scikit-learn's, finite differences and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import log_loss

from sparkml_dist.ensemble.gradient_boosting.loss import Slope
from sparkml_dist.ensemble.gradient_boosting.losses import loss_of
from sparkml_dist.ensemble.gradient_boosting.robust_losses import weighted_quantile
from sparkml_dist.errors import ConfigurationError

RNG = np.random.default_rng(0)
N = 200
W = RNG.integers(0, 4, N).astype(float)


def labels(n_classes):
    return RNG.integers(0, n_classes, N).astype(np.int32) if n_classes else RNG.normal(size=N)


def value(loss, n_classes, y, F, limit=None):
    """The weighted loss, written down anew."""
    shown = loss.link(F)
    if n_classes:
        return log_loss(y, shown, sample_weight=W, labels=range(n_classes)) * W.sum()
    size = np.abs(y - shown)
    by_name = {
        "squared_error": size**2 / 2,
        "absolute_error": size,
        "huber": np.where(
            size <= (limit or 0), size**2 / 2, (limit or 0) * (size - (limit or 0) / 2)
        ),
    }
    return W @ by_name[loss.name]


@pytest.mark.parametrize(
    ("name", "n_classes"),
    [
        ("log_loss", 2),
        ("log_loss", 5),
        ("squared_error", 0),
        ("absolute_error", 0),
        ("huber", 0),
    ],
)
def test_gradients_are_what_the_loss_falls_by(name, n_classes):
    loss, y = loss_of(name, n_classes=n_classes), labels(n_classes)
    F = RNG.normal(size=(N, loss.n_outputs))
    limit = weighted_quantile(np.abs(y - F[:, 0]), W, 0.9) if name == "huber" else None
    along, h = RNG.normal(size=F.shape), 1e-4
    slope = loss.slope(y, F, W)
    before, after = (value(loss, n_classes, y, F + s * h * along, limit) for s in (-1, 1))
    assert (before - after) / (2 * h) == pytest.approx(
        W @ (slope.gradient * along).sum(1), rel=1e-3
    )
    if slope.curvature is None:
        return
    # One output at a time: only the diagonal of the second derivatives is promised.
    one = np.zeros_like(F)
    one[:, 0] = along[:, 0]
    here = value(loss, n_classes, y, F, limit)
    before, after = (value(loss, n_classes, y, F + s * h * one, limit) for s in (-1, 1))
    bend = (before + after - 2 * here) / h**2
    assert bend == pytest.approx(W @ (slope.curvature * one**2).sum(1), rel=1e-3)


def test_the_start_is_the_best_constant():
    y = labels(0)
    repeated = np.repeat(y, W.astype(int))
    for name, best in (("squared_error", np.mean), ("absolute_error", np.median)):
        loss = loss_of(name)
        initial, _ = loss.start([loss.moments(y, W)])
        assert initial == pytest.approx([best(repeated)])
    for n_classes in (2, 4):
        codes, loss = labels(n_classes), loss_of("log_loss", n_classes=n_classes)
        halves = [loss.moments(codes[i::2], W[i::2]) for i in (0, 1)]
        shown = loss.link(loss.start(halves)[0][None])
        assert shown[0] == pytest.approx(np.bincount(codes, W) / W.sum())


def test_a_class_that_never_occurs_does_no_harm():
    loss = loss_of("log_loss", n_classes=3)
    initial, _ = loss.start([[5.0, 3.0, 0.0]])
    assert np.isfinite(initial).all()
    assert loss.link(initial[None])[0] == pytest.approx([5 / 8, 3 / 8, 0], abs=1e-12)


@pytest.mark.parametrize("n_classes", [0, 2, 5])
def test_the_search_is_one_newton_step_of_each_output(n_classes):
    """From derivatives of the loss along each output by differences; the halves add up."""
    loss = loss_of("log_loss" if n_classes else "squared_error", n_classes=n_classes)
    y = labels(n_classes)
    F = np.tile(loss.start([loss.moments(y, W)])[0], (N, 1))
    along = 0.1 * loss.slope(y, F, W).gradient + 0.3 * RNG.normal(size=F.shape)
    parts = [loss.search(y[i::2], F[i::2], along[i::2], W[i::2], 1.0) for i in (0, 1)]
    step = loss.step(parts, 1.0)
    here, h = value(loss, n_classes, y, F), 1e-3
    for k in range(loss.n_outputs):
        one = np.zeros_like(F)
        one[:, k] = along[:, k]
        before, after = (value(loss, n_classes, y, F + s * h * one) for s in (-1, 1))
        newton = (before - after) * h / 2 / (before + after - 2 * here)
        # Errors of the differences grow with h², those of rounding with 1 / h².
        assert step[k] == pytest.approx(max(0.0, newton), rel=1e-4)
    assert step.max() > 0
    # What is gained is nearly all that could be gained in this direction.
    losses = [value(loss, n_classes, y, F + g * step * along) for g in np.linspace(0, 3, 301)]
    assert here - losses[100] > 0.95 * (here - min(losses))
    assert loss.step([loss.search(y, F, -along, W, 1.0)], 1.0).tolist() == [0.0] * loss.n_outputs


@pytest.mark.parametrize("name", ["absolute_error", "huber"])
def test_robust_steps_are_the_best_of_those_tried(name):
    loss, y = loss_of(name), 100 * labels(0)
    initial, unit = loss.start([loss.moments(y, W)])
    F = np.tile(initial, (N, 1))
    along = loss.slope(y, F, W).gradient
    step = loss.step([loss.search(y, F, along, W, unit)], unit)[0]
    limit = weighted_quantile(np.abs(y - F[:, 0]), W, 0.9)
    tried = [value(loss, 0, y, F + s * along, limit) for s in (step / 2, step, step * 2, 0)]
    assert min(tried) == tried[1]
    assert step > 0


@pytest.mark.parametrize("name", ["absolute_error", "huber", "log_loss"])
def test_leaves_take_the_best_step_of_their_rows(name):
    n_classes = 2 if name == "log_loss" else 0
    loss, y = loss_of(name, n_classes=n_classes), labels(n_classes)
    F = np.zeros((N, 1))
    leaf = np.where(RNG.random(N) < 0.4, 1, 3)
    slope = loss.slope(y, F, W)
    bend = None if slope.curvature is None else slope.curvature[:, 0]
    values = loss.leaves(leaf, 5, y, F[:, 0], Slope(slope.gradient[:, 0], bend), W)
    assert values.shape == (5,)
    assert values[[0, 2, 4]].tolist() == [0, 0, 0]
    for node in (1, 3):
        repeated = np.repeat(y, W.astype(int) * (leaf == node))
        if name == "absolute_error":
            assert values[node] == pytest.approx(np.median(repeated))
        elif name == "log_loss":  # one Newton step from p = 1/2
            assert values[node] == pytest.approx((repeated.mean() - 0.5) / 0.25)
        else:
            # Friedman (2001), algorithm 4: the median, and the mean of what is left, cut at the
            # quantile of all residuals.
            limit = weighted_quantile(np.abs(y), W, 0.9)
            left = repeated - np.median(repeated)
            expected = np.median(repeated) + np.clip(left, -limit, limit).mean()
            assert np.median(repeated) != expected
            assert values[node] == pytest.approx(expected)


def test_quantiles_count_weights_as_repetitions():
    values = RNG.normal(size=41)
    weights = RNG.integers(0, 4, 41)
    repeated = np.repeat(values, weights)
    for share in (0.1, 0.5, 0.9):
        found = weighted_quantile(values, weights.astype(float), share)
        expected = np.quantile(repeated, share, method="averaged_inverted_cdf")
        assert found == pytest.approx(expected)


def test_unknown_losses_are_refused():
    with pytest.raises(ConfigurationError, match="must be one of log_loss. Got 'hinge'"):
        loss_of("hinge", n_classes=2)
    with pytest.raises(ConfigurationError, match="squared_error, absolute_error, huber"):
        loss_of("log_loss")
