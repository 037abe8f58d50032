"""Kernel machines on Nyström features."""

from __future__ import annotations

from typing import Any

from sparkml_dist.automl.families.family import Family, Situation
from sparkml_dist.search.dimensions import Floating

__all__ = ["kernel"]


def kernel(situation: Situation) -> Family:
    """Return logistic or ridge regression on Nyström features of a radial kernel."""
    from sklearn.kernel_approximation import Nystroem
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import Pipeline

    most = max(20, min(situation.rows // 2, 2_000 if situation.is_regression else 1_000))
    sizes = sorted({min(n, most) for n in (100, 300, 500, 1_000, 2_000)})
    width = 1.0 / max(1, situation.features)
    last: Any = Ridge() if situation.is_regression else LogisticRegression(max_iter=100)
    inner = Pipeline([("features", Nystroem()), ("linear", last)])
    strength = "alpha" if situation.is_regression else "C"
    bounds = (1e-6, 10.0) if situation.is_regression else (1e-2, 1e3)

    def setting(gamma: float, components: int, value: float) -> dict[str, Any]:
        return {
            "learner__features__gamma": gamma * width,
            "learner__features__n_components": min(components, most),
            f"learner__linear__{strength}": value,
        }

    usual = 1e-2 if situation.is_regression else 30.0
    return Family(
        "kernel",
        situation.prepared(inner, "network"),
        {
            "learner__features__gamma": Floating(0.03 * width, 10.0 * width, log=True),
            "learner__features__n_components": sizes,
            f"learner__linear__{strength}": Floating(*bounds, log=True),
        },
        [setting(1.0, 500, usual), setting(0.3, 1_000, usual)],
        cost=2.0,
    )
