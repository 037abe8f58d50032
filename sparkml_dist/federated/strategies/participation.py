"""Which silos take part in a round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sparkml_dist.errors import ConfigurationError

__all__ = ["Participation"]


@dataclass(frozen=True)
class Participation:
    """Draws silos for each round, by seed and round alone.

    Attributes
    ----------
    silos : float or int
        A float is the probability with which each silo takes part, independently of the others
        (Poisson sampling, as accountants of privacy assume; a round may have none). An int is a
        number of silos, drawn without replacement.
    seed : int
    """

    silos: float | int = 1.0
    seed: int = 0

    def check(self, n_silos: int | None = None) -> None:
        """Raise ConfigurationError ``invalid_param`` for a share or number that cannot be."""
        whole = isinstance(self.silos, int)
        least_ok = self.silos >= 1 if whole else 0 < self.silos <= 1
        if not least_ok or (whole and n_silos is not None and self.silos > n_silos):
            silos = "the number of silos" if n_silos is None else f"{n_silos}, all silos"
            raise ConfigurationError(
                "invalid_param",
                "participation must be a probability in (0, 1], or a number from 1 to "
                f"{silos}. Got {self.silos!r}.",
            )

    def drawn(self, names: Sequence[str], number: int) -> list[str]:
        """Return the silos of a round, in the order of names."""
        if isinstance(self.silos, float) and self.silos == 1.0:
            return list(names)
        rng = np.random.default_rng([self.seed % 2**32, number])
        if isinstance(self.silos, int):
            rows = np.sort(rng.choice(len(names), self.silos, replace=False))
            return [names[i] for i in rows]
        drawn = rng.random(len(names)) < self.silos
        return [name for name, taken in zip(names, drawn, strict=True) if taken]
