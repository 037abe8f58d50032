"""Rows whose quantiles are exact, and an objective that ends its rank."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pandas as pd

NUMERIC = ["a", "b", "c"]
FEATURES = [*NUMERIC, "kind"]


def table(rows: int = 600, seed: int = 0) -> pd.DataFrame:
    """Few values of each feature, so that any cut into blocks gives the same bins."""
    rng = np.random.default_rng(seed)
    found = pd.DataFrame({name: rng.integers(-30, 30, rows) / 8 for name in NUMERIC})
    found["kind"] = rng.choice(["x", "y", "z"], rows)
    signal_ = found.a * found.b / 2 + found.c + 2 * (found.kind == "y") + rng.normal(size=rows)
    found.loc[rng.random(rows) < 0.1, "c"] = np.nan
    found["label"] = (signal_ > 0.5).astype("int32")
    found["grade"] = np.digitize(signal_, [-1, 1.5]).astype("int32")
    found["count"] = rng.poisson(np.exp(np.clip(signal_ / 4, -3, 3))).astype("float64")
    found["w"] = rng.integers(1, 4, rows).astype("float64")
    found["id"] = np.arange(rows)
    return found


class Logistic:
    """Gradient and hessian of the log loss; ends its process once where it is told to.

    Parameters
    ----------
    mark : str
        File that exists once a rank was ended; empty to end none.
    rank, call : int
        Which rank, and at which call.
    """

    def __init__(self, mark: str = "", rank: int = 1, call: int = 9) -> None:
        self.mark, self.rank, self.call, self.calls = mark, rank, call, 0

    def __call__(self, margin, matrix):
        from xgboost import collective

        self.calls += 1
        if self.mark and self.calls == self.call and collective.get_rank() == self.rank:
            try:
                Path(self.mark).touch(exist_ok=False)
            except FileExistsError:
                pass
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        p = 1 / (1 + np.exp(-margin))
        return p - matrix.get_label(), p * (1 - p)
