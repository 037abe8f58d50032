"""Pieces of trials: what one task fits of one trial."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sparkml_dist.learners.known_learner import KnownLearner

__all__ = ["TrialPiece"]


@dataclass(frozen=True)
class TrialPiece:
    """Members of a trial to fit, and whether to score all that the trial has then.

    Attributes
    ----------
    trial, rung : int
    resource : int
        What the trial has of the resource when the rung ends.
    learner : KnownLearner
        With the trial's parameters.
    voting : str
        How its members are combined: ``"soft"``, ``"hard"`` or ``"mean"``.
    members : tuple of int
        To be fitted now.
    earlier : tuple of int
        Fitted before, whose votes count.
    share : float
        Share of the rows that a member learns from.
    scores : bool
        Whether the votes of all members are scored when these are fitted.
    settings : dict
        Parameters to set on the prepared learner, such as the number of trees that a rung allows.
    stores : bool
        Whether its learners are kept: for an ensemble, or to go on from them.
    previous : tuple of str
        Files of the learners, one for each held-out part, that it goes on from.
    grown : (str, int), optional
        Parameter that grows, and the value that these have.
    spent : dict
        Fields of the record that other pieces of the same rung have filled.
    """

    trial: int
    rung: int
    resource: int
    learner: KnownLearner
    voting: str
    members: tuple[int, ...]
    earlier: tuple[int, ...] = ()
    share: float = 1.0
    scores: bool = True
    settings: dict[str, Any] = field(default_factory=dict)
    stores: bool = False
    previous: tuple[str, ...] = ()
    grown: tuple[str, int] | None = None
    spent: dict[str, Any] = field(default_factory=dict)

    @property
    def stem(self) -> str:
        """Name of the piece's record, without suffix."""
        name = f"trial-{self.trial:05d}-rung-{self.rung:02d}"
        if self.scores:
            return name
        return f"{name}-members-{self.members[0]:05d}-{self.members[-1]:05d}"
