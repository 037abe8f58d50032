"""The triangle of a tall and skinny QR decomposition: one triangle for each shard, then of these.

A Gram matrix squares the condition number of a design; its triangle does not. Each task decomposes
the blocks of its shards one after the other, and the driver the triangles, in the order of shards.

References
----------
Demmel, Grigori, Hoemmen, Langou (2012), "Communication-optimal parallel and sequential QR and LU
factorizations", SIAM Journal on Scientific Computing 34.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.cluster.sums.layout import Summands
from sparkml_dist.dataset.block import Block
from sparkml_dist.statistics.glm_sums import GlmPass

__all__ = ["QrPass", "joined_triangle"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class QrPass:
    """A pass over a shard: its triangle, and the sums of a `GlmPass`.

    Attributes
    ----------
    step : GlmPass
    shards : int
        Number of shards.
    """

    step: GlmPass
    shards: int

    def __call__(self, shard: int, blocks: Iterable[Block], beta: Array | None) -> Summands:
        """Return the sums of a shard; its triangle has a place of its own in ``triangles``."""
        p = len(self.step.design.terms)
        R = np.zeros((0, p))
        total: dict[str, Any] = {}
        plain = replace(self.step, gram=False, working=True)
        for block in blocks:
            rows = plain.design.rows(block)
            part = plain.of(rows, beta)
            root = np.sqrt(part.pop("working"))
            D = rows.D if isinstance(rows.D, np.ndarray) else rows.D.toarray()
            R = triangle_of(np.vstack([R, D * root[:, None]]))
            if not total:
                total = part
                continue
            for name, value in part.items():
                total[name] = total[name] + value
        triangles = np.zeros((self.shards, p, p))
        triangles[shard, : len(R)] = R
        return {**total, "triangles": triangles}


def triangle_of(rows: Array) -> Array:
    """Return the triangle of a QR decomposition."""
    return np.asarray(np.linalg.qr(rows, mode="r"), np.float64)


def joined_triangle(triangles: Array, penalty: Array) -> Array:
    """Return the triangle of all rows, its diagonal positive.

    Parameters
    ----------
    triangles : ndarray of shape (shards, p, p)
    penalty : ndarray of shape (p,)
        L2 penalty of each coefficient.
    """
    p = triangles.shape[1]
    stacked = np.vstack([*triangles, np.diag(np.sqrt(penalty))])
    R = triangle_of(stacked)
    signs = np.where(np.diag(R) < 0, -1.0, 1.0)
    return np.asarray(R[:p] * signs[:, None])
