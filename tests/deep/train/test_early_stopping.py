"""When a training ends, and which epoch it counts as the best; on made-up metrics."""

from __future__ import annotations

import numpy as np
import pytest

from sparkml_dist.deep.params.early_stopping_settings import EarlyStoppingSettings
from sparkml_dist.deep.train.early_stopping import EarlyStopping, direction
from sparkml_dist.errors import ConfigurationError


def follow(values, **settings):
    """Return the stopping and the number of epochs done, the weights being those of the epoch."""
    at = [0]
    stopping = EarlyStopping(
        EarlyStoppingSettings(**{"metric": "val_loss", "patience": 2, **settings}),
        lambda: [np.array([at[0]])],
    )
    for epoch, value in enumerate(values):
        at[0] = epoch
        if stopping.update(epoch, {settings.get("metric", "val_loss"): value}):
            return stopping, epoch + 1
    return stopping, len(values)


@pytest.mark.parametrize(
    ("values", "settings", "best", "epochs"),
    [
        ([3, 2, 1, 2, 3, 0], {}, 2, 5),
        ([3, 2, 1, 2, 0, 1, 1], {}, 4, 7),
        ([1, 2, 3, 2, 2, 9], {"metric": "val_accuracy"}, 2, 5),
        ([1, 2, 3], {"mode": "max"}, 2, 3),
        ([3, 2.95, 2.9, 2.85], {"tol": 0.2}, 0, 3),
        ([3, 2, float("nan"), float("nan"), 0], {}, 1, 4),
        ([float("nan"), 2, 3, 3], {}, 1, 4),
        ([3, 1, 2, 2, 2, 2], {"patience": None}, 1, 6),
    ],
)
def test_when_it_ends(values, settings, best, epochs):
    stopping, done = follow(list(map(float, values)), **settings)
    assert (stopping.best_epoch, done) == (best, epochs)
    assert stopping.best_weights[0] == [best]


def test_weights_are_kept_only_where_they_are_wanted():
    assert follow([2.0, 1.0], restore_best=False)[0].best_weights == []


def test_a_resumed_training_ends_where_an_undisturbed_one_does():
    values = [3.0, 1.0, 2.0, 2.0, 2.0]
    whole, _ = follow(values, patience=3)
    for cut in range(1, len(values)):
        first, _ = follow(values[:cut], patience=3)
        again = EarlyStopping(first.settings, lambda: [np.array([-1])])
        again.load_state(*first.state())
        ends = [again.update(e, {"val_loss": values[e]}) for e in range(cut, len(values))]
        assert ends[-1]
        assert not any(ends[:-1])
        assert (again.best_epoch, again.best) == (whole.best_epoch, whole.best)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("val_loss", "min"), ("auc_1", "max"), ("mae", "min"), ("f1_score", "max"), ("gain", None)],
)
def test_which_way_is_better(name, wanted):
    assert direction(name) == wanted


def test_refusals():
    with pytest.raises(ConfigurationError, match="monitor_direction"):
        EarlyStopping(EarlyStoppingSettings("gain", 2), list)
    stopping = EarlyStopping(EarlyStoppingSettings("val_loss", 2), list)
    with pytest.raises(ConfigurationError, match="unknown_monitor.*val_loss"):
        stopping.update(0, {"loss": 1.0})
