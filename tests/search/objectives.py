"""Objectives of boosted trees that count their calls, take memory, or take time."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np


class _Logistic:
    """Gradient and hessian of the log loss, after `before`."""

    def before(self, size: int) -> None:
        """Do what a test wants of a rank, of `size` ranks."""

    def __call__(self, margin, matrix):
        from xgboost import collective

        self.before(collective.get_world_size())
        p = 1 / (1 + np.exp(-margin))
        return p - matrix.get_label(), p * (1 - p)


class Counted(_Logistic):
    """Writes a byte at each call of any rank."""

    def __init__(self, path: str) -> None:
        self.path = path

    def before(self, size):
        with open(self.path, "ab") as file:
            file.write(b".")

    @property
    def calls(self) -> int:
        path = Path(self.path)
        return path.stat().st_size if path.exists() else 0


class Hungry(_Logistic):
    """Takes 200 MiB in a gang of two ranks, until its process is ended."""

    def before(self, size):
        if size == 2:
            self.held = np.ones(200 << 17)
            time.sleep(60)


class Slow(_Logistic):
    """Never returns in a gang of two ranks; writes the ids of its processes."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def before(self, size):
        if size == 2:
            (Path(self.folder) / str(os.getpid())).touch()
            time.sleep(300)
