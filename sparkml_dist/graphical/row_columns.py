"""What a network makes of the rows of a batch: likelihoods, filled-in states, distributions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from sparkml_dist.graphical.counting.block_counts import Codes
from sparkml_dist.graphical.inference.row_inference import filled, log_likelihoods, posterior
from sparkml_dist.graphical.network import Network

__all__ = ["Filled", "LogLikelihood", "Posterior", "state_texts"]


@dataclass(frozen=True)
class LogLikelihood:
    """Computes the logarithm of the probability of each row's observed values."""

    network: Network

    def __call__(self, codes: Codes) -> pa.Array:
        """Return an array of doubles."""
        return pa.array(log_likelihoods(self.network, codes))


@dataclass(frozen=True)
class Filled:
    """Fills each missing value of a row with the most probable state."""

    network: Network

    def __call__(self, codes: Codes) -> pa.Array:
        """Return an array of structs with the fields ``v0``, ``v1`` and so on."""
        texts = state_texts(self.network, filled(self.network, codes))
        return pa.StructArray.from_arrays(texts, [f"v{i}" for i in range(len(texts))])


@dataclass(frozen=True)
class Posterior:
    """Computes the distribution of a variable, whose column the rows lack."""

    network: Network
    target: int

    def __call__(self, codes: Codes) -> pa.Array:
        """Return an array of lists of doubles."""
        whole = np.insert(codes, self.target, -1, axis=1)
        shares = posterior(self.network, whole, (self.target,))
        rows: list[list[float] | None] = shares.tolist()
        for i in np.flatnonzero(np.isnan(shares).any(axis=1)).tolist():
            rows[i] = None
        return pa.array(rows, pa.list_(pa.float64()))


def state_texts(network: Network, codes: Codes) -> list[pa.Array]:
    """Return the states of codes, an array for each variable; null for -1."""
    found = []
    for v, variable in enumerate(network.variables.items):
        own = codes[:, v]
        indices = pa.array(own.astype(np.int32), mask=own < 0)
        found.append(pa.array(variable.states, pa.string()).take(indices))
    return found
