"""What a machine sees of a row: similarities to centres, or random features."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from sparkml_dist.kernels.functions.kernel import Floats

__all__ = ["FeatureMap"]


class FeatureMap(Protocol):
    """Maps rows to the features of a machine."""

    @property
    def n_outputs(self) -> int:
        """Number of features."""
        ...

    def chunks(self, X: Any) -> Iterator[tuple[slice, Floats]]:
        """Yield the features of rows (n, d), a few megabytes at a time, with their slices."""
        ...
