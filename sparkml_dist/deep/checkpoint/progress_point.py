"""How far a training has come."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["ProgressPoint"]


@dataclass(frozen=True)
class ProgressPoint:
    """A place between two steps of a training; by default the one before the first.

    Attributes
    ----------
    epoch : int
        Epochs that are finished.
    step : int
        Steps done in the epoch after them.
    steps : int
        Steps done in all.
    rows : int
        Rows that this rank saw in the unfinished epoch, or in the one before where no step has been
        done in it.
    seconds, waited : float
        Time spent on the unfinished epoch, and waiting for its data.
    reports : tuple of dict
        The report of each finished epoch.
    """

    epoch: int = 0
    step: int = 0
    steps: int = 0
    rows: int = 0
    seconds: float = 0.0
    waited: float = 0.0
    reports: tuple[dict[str, Any], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values; the rows, which each rank counts for itself, are not among them."""
        return {k: v for k, v in asdict(self).items() if k != "rows"}

    @classmethod
    def from_dict(cls, value: dict[str, Any], rows: int) -> ProgressPoint:
        """Return what `to_dict` described, for a rank that has seen so many rows."""
        return cls(**{**value, "reports": tuple(value["reports"])}, rows=rows)
