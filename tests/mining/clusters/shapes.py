"""Point sets of many shapes, and labels that can be compared."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import make_blobs, make_circles, make_moons


def shapes(n=900):
    rng = np.random.default_rng(5)
    angle = rng.uniform(0, 3 * np.pi, n)
    spiral = np.c_[angle * np.cos(angle), angle * np.sin(angle)] / 6
    return {
        "moons": (make_moons(n, noise=0.06, random_state=0)[0], (0.05, 0.1, 0.2)),
        "circles": (make_circles(n, noise=0.04, factor=0.5, random_state=0)[0], (0.05, 0.1, 0.2)),
        "blobs": (make_blobs(n, centers=5, random_state=1)[0], (0.3, 0.5, 1.0)),
        "spiral": (spiral + rng.normal(0, 0.02, (n, 2)), (0.05, 0.1, 0.3)),
        "lattice": (np.round(rng.normal(0, 1, (n, 2)), 1), (0.1, 0.15, 0.2)),
        "five": (make_blobs(n, 5, centers=4, random_state=2)[0], (1.0, 1.5, 2.0)),
    }


def canonical(labels):
    """Number labels by their first occurrence."""
    names: dict = {}
    return [names.setdefault(label, len(names)) for label in np.asarray(labels).tolist()]
