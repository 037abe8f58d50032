"""Rows drawn from a network, each variable after its parents."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sparkml_dist.graphical.network import Network

__all__ = ["sample_codes"]


def sample_codes(network: Network, rows: int, rng: np.random.Generator) -> npt.NDArray[np.int32]:
    """Draw rows.

    Parameters
    ----------
    network : Network
    rows : int
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of int32, shape (rows, d)
        Codes of states.
    """
    draws = rng.random((rows, len(network.names)))
    found = np.zeros((rows, len(network.names)), np.int32)
    for v in network.order:
        table = network.tables[v]
        limits = np.cumsum(table, axis=-1)[tuple(found[:, p] for p in network.parents[v])]
        limits = np.broadcast_to(limits, (rows, table.shape[-1]))
        # Rounding may leave the last limit below 1.
        found[:, v] = (draws[:, v, None] * limits[:, -1:] >= limits[:, :-1]).sum(axis=1)
    return found
