"""Rows cut into silos, and data with published answers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sparkml_dist.federated import Federation

HEART = ["age", "sex", "trestbps", "thalach", "exang", "oldpeak"]
_HEART_COLUMNS = ["X1", "X2", "X4", "X8", "X9", "X10"]

# Freireich et al. (1963): weeks of remission under 6-MP (and whether it ended), and under placebo.
_DRUG = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
_ENDED = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
_PLACEBO = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]
LEUKEMIA = np.column_stack([_DRUG + _PLACEBO, _ENDED + [1] * 21, [0] * 21 + [1] * 21]).astype(float)


def cut(X: Any, y: Any, n: int, **given: Any) -> Federation:
    """Return a federation of n silos of different sizes that hold these rows."""
    place = np.minimum(np.random.default_rng(n).geometric(0.4, len(y)) - 1, n - 1)
    weight = given.pop("weight", None)
    silos = {}
    for i in range(n):
        rows = place == i
        parts = (X[rows], y[rows]) if weight is None else (X[rows], y[rows], weight[rows])
        silos[f"silo-{i}"] = parts
    return Federation.in_memory(silos, **given)


def leukemia(n: int) -> Federation:
    """Return the leukemia data in n silos."""
    return cut(
        LEUKEMIA,
        LEUKEMIA[:, 1].astype(int),
        n,
        names=["time", "event", "group"],
        label="status",
        categories={"group": ["drug", "placebo"]},
    )


def heart_silos() -> dict[str, tuple[Any, Any]]:
    """Return the rows of the four hospitals; skip where they are not there."""
    folder = Path(os.environ.get("SPARKML_DIST_DATA", "data"))
    if not (folder / "heart-va.csv").exists():
        pytest.skip("the heart data is not there")
    silos = {}
    for name in ("cleveland", "hungarian", "switzerland", "va"):
        rows = pd.read_csv(folder / f"heart-{name}.csv").replace(-9, np.nan)
        silos[name] = (rows[_HEART_COLUMNS].to_numpy(float), (rows["X14"] > 0).to_numpy(int))
    return silos


def heart() -> Federation:
    """Return the federation of the four hospitals."""
    return Federation.in_memory(heart_silos(), names=HEART, label="sick")


def sample(n: int = 400) -> tuple[Any, Any]:
    """Return rows of two numbers, with missing ones, and a category of which one is rare."""
    rng = np.random.default_rng(3)
    X = np.column_stack(
        [
            rng.normal(1e6, 2.0, n),
            rng.gamma(2.0, 3.0, n),
            rng.choice(4, n, p=[0.5, 0.3, 0.19, 0.01]),
        ]
    )
    X[rng.random(n) < 0.05, 0] = np.nan
    X[rng.random(n) < 0.05, 2] = np.nan
    return X, rng.integers(0, 3, n)


COLUMNS = {"names": ["a", "b", "c"], "categories": {"c": ["p", "q", "r", "s"]}}
