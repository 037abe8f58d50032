"""Small networks of scikit-learn."""

from __future__ import annotations

from typing import Any

from sparkml_dist.automl.families.family import Family, Situation
from sparkml_dist.search.dimensions import Floating

__all__ = ["perceptron"]

_EPOCHS, _PATIENCE = 100, 8


def perceptron(situation: Situation) -> Family:
    """Return multi-layer perceptrons on scaled features; targets are scaled too."""
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.preprocessing import StandardScaler

    shared: dict[str, Any] = {
        "max_iter": _EPOCHS,
        "n_iter_no_change": _PATIENCE,
        "early_stopping": situation.can_stop and situation.rows >= 500,
    }
    if situation.is_regression:
        inner = situation.prepared(MLPRegressor(**shared), "network")
        learner: Any = TransformedTargetRegressor(inner, transformer=StandardScaler())
        prefix = "regressor__learner__"
    else:
        learner, prefix = situation.prepared(MLPClassifier(**shared), "network"), "learner__"

    def setting(
        layers: tuple[int, ...], rate: float, alpha: float, batch: int, activation: str = "relu"
    ) -> dict[str, Any]:
        return {
            f"{prefix}hidden_layer_sizes": layers,
            f"{prefix}learning_rate_init": rate,
            f"{prefix}alpha": alpha,
            f"{prefix}batch_size": batch,
            f"{prefix}activation": activation,
        }

    return Family(
        "perceptron",
        learner,
        {
            f"{prefix}hidden_layer_sizes": [
                *((64,), (128,), (256,), (64, 64), (128, 128), (256, 128), (256, 256)),
                (128, 128, 128),
            ],
            f"{prefix}learning_rate_init": Floating(3e-4, 1e-2, log=True),
            f"{prefix}alpha": Floating(1e-6, 1.0, log=True),
            f"{prefix}batch_size": [32, 64, 128, 256],
            f"{prefix}activation": ["relu", "tanh"],
        },
        [
            setting((128, 128), 2e-3, 1e-4, 64),
            setting((256,), 2e-3, 1e-2, 128),
            setting((128, 128, 128), 1e-3, 1e-4, 64),
            setting((128, 128), 2e-3, 1e-4, 64, "tanh"),
        ],
        cost=2.0,
    )
