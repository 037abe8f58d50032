"""Adam at the coordinator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sparkml_dist.federated.strategies.adaptive import Adaptive
from sparkml_dist.federated.training.flat_model import Floats

__all__ = ["FedAdam"]


@dataclass(frozen=True)
class FedAdam(Adaptive):
    """Squared changes are an exponential mean, as in Adam, without its correction of the start.

    Parameters
    ----------
    serverRate, beta1, beta2, tau : float
        See `Adaptive`.

    References
    ----------
    Reddi et al. (2021), "Adaptive federated optimization", arXiv:2003.00295.
    """

    name: ClassVar[str] = "fedadam"

    def squares(self, old: Floats, change: Floats) -> Floats:
        """Return the squared changes; see `Adaptive.squares`."""
        return self.beta2 * old + (1 - self.beta2) * change**2
