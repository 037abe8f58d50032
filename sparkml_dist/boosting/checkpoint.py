"""How far a training has come, and its form in a checkpoint."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from sparkml_dist.persistence.checkpoints import CheckpointId, CheckpointStore
from sparkml_dist.persistence.checksums import reading_fields
from sparkml_dist.persistence.fields import items, mapping, natural, text

__all__ = ["BOOSTER", "Progress", "read_progress"]

#: File of a checkpoint that holds the booster.
BOOSTER = "booster.npz"


@dataclass
class Progress:
    """How far a training has come.

    Attributes
    ----------
    rounds : int
        Rounds done.
    history : dict of str to list of float
        Metrics of every round.
    best_round : int or None
        The best round, from 0, with early stopping.
    best : float or None
        Its value.
    """

    rounds: int = 0
    history: dict[str, list[float]] = field(default_factory=dict)
    best_round: int | None = None
    best: float | None = None

    def add(self, values: dict[str, float]) -> None:
        """Add the metrics of a round."""
        for name, value in values.items():
            self.history.setdefault(name, []).append(value)
        self.rounds += 1

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Progress:
        """Return the value of `to_dict`; raise KeyError or TypeError for others."""
        rounds = natural(value["rounds"], "rounds")
        history: dict[str, list[float]] = {}
        for name, values in mapping(value["history"], "history").items():
            numbers = [_number(v) for v in items(values, name)]
            if len(numbers) != rounds:
                raise TypeError(f"{name} has {len(numbers)} values for {rounds} rounds")
            history[text(name, "history")] = numbers
        best_round, best = value["best_round"], value["best"]
        if (best_round is None) != (best is None):
            raise TypeError("best_round has no value")
        if best_round is None:
            return cls(rounds, history)
        if natural(best_round, "best_round") >= rounds:
            raise TypeError(f"the best round {best_round} is not among {rounds}")
        return cls(rounds, history, best_round, _number(best))


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is not a number")
    return float(value)


def read_progress(store: CheckpointStore, which: CheckpointId) -> tuple[Progress, bytes]:
    """Return how far a checkpoint has come, and its booster in UBJSON, unchecked.

    Raises
    ------
    StorageError
        ``checkpoint_damaged`` or ``altered_manifest``.
    """
    found = store.read(which)
    found.verify(BOOSTER)
    with reading_fields(found.folder.location, "Delete the checkpoint."):
        progress = Progress.from_dict(found.content)
    with found.restoring():
        content = found.arrays(BOOSTER)["content"]
        if content.dtype != np.uint8 or content.ndim != 1:
            raise ValueError("the booster is not bytes")
        return progress, content.tobytes()
