"""The progress of a training."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["ProgressPoint"]


@dataclass(frozen=True)
class ProgressPoint:
    """A position between two steps of a training; by default the one before the first step.

    Attributes
    ----------
    epoch : int
        Finished epochs.
    step : int
        Steps done in the unfinished epoch.
    steps : int
        Steps done in total.
    rows : int
        Rows that this rank saw in the unfinished epoch, or in the last finished one when the
        unfinished epoch has no step yet.
    seconds, waited : float
        Time spent on the unfinished epoch, and time spent waiting for its data.
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
        """Return JSON values, without the rows, which each rank counts itself."""
        return {k: v for k, v in asdict(self).items() if k != "rows"}

    @classmethod
    def from_dict(cls, value: dict[str, Any], rows: int) -> ProgressPoint:
        """Return the value of `to_dict`, for a rank that has seen `rows` rows."""
        return cls(**{**value, "reports": tuple(value["reports"])}, rows=rows)
