"""What trials of a search are compared by, and which of them is the best."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from sparkml_dist.errors import ConfigurationError, DataError, TrainingError
from sparkml_dist.metrics.scores import as_loss
from sparkml_dist.search.pareto import order, violation
from sparkml_dist.search.resources import Resource
from sparkml_dist.search.trial_table import milliseconds_per_row

if TYPE_CHECKING:
    from sparkml_dist.search.engine import Engine

__all__ = ["QUANTITIES", "SearchGoal", "best_of", "raise_all_failed", "ranked_trials"]

_logger = logging.getLogger(__name__)

#: What constraints may bound.
QUANTITIES = ("bytes", "millisecondsPerRow")
_SHOWN_REASONS = 3


@dataclass(frozen=True)
class SearchGoal:
    """A metric and constraints.

    Attributes
    ----------
    metric : str
    constraints : mapping of str to float
        Upper bounds.
    resource : Resource
    """

    metric: str
    constraints: Mapping[str, float]
    resource: Resource

    def score_loss(self, record: Mapping[str, Any]) -> float:
        """Return the loss of a record that is done, whatever the constraints."""
        return as_loss(self.metric, float(record["scores"].get(self.metric, math.nan)))

    def violation(self, record: Mapping[str, Any]) -> float:
        """Return by how much a trial would violate the constraints with all of the resource."""
        grows = self.resource.most / record["resource"] if self.resource.kind == "shards" else 1.0
        milliseconds = milliseconds_per_row(record)
        values = {
            "bytes": record["bytes"] * grows,
            "millisecondsPerRow": math.nan if milliseconds is None else milliseconds * grows,
        }
        return violation(values, self.constraints)

    def loss(self, record: Mapping[str, Any]) -> float:
        """Return the loss of a record that is done; infinite if it violates a constraint."""
        return math.inf if self.violation(record) > 0 else self.score_loss(record)


def best_of(engine: Engine, goal: SearchGoal) -> tuple[int, int] | None:
    """Return trial and rung of the best result; None if there is none.

    Results of the highest rung that any trial reached are compared: those that keep the constraints
    first, by loss; then the others, by how far they are from keeping them.
    """
    done = {k: r for k, r in engine.records.items() if engine.goal.of(r) is not None}
    if not done:
        return None
    feasible = {k: r for k, r in done.items() if goal.violation(r) == 0}
    if not feasible:
        _logger.warning("no trial keeps the constraints %s", dict(goal.constraints))
    among = feasible or done
    top = max(rung for _, rung in among)
    keys = sorted(k for k in among if k[1] == top)
    losses = [goal.score_loss(among[k]) for k in keys]
    ranked = order(losses, [goal.violation(among[k]) for k in keys])
    return keys[ranked[0]] if ranked else None


def ranked_trials(engine: Engine, goal: SearchGoal) -> list[int]:
    """Return the trials that have a score, by the loss of their highest rung."""
    highest = {
        t: (r, goal.score_loss(x))
        for (t, r), x in sorted(engine.records.items())
        if engine.goal.of(x) is not None
    }
    return sorted(highest, key=lambda t: (highest[t][1], t))


def raise_all_failed(
    engine: Engine, budget: float | None, remedy: str = "lower minResource"
) -> NoReturn:
    """Raise because no trial has a score, with the most common reasons.

    Parameters
    ----------
    engine : Engine
    budget : float or None
        Seconds that the search had.
    remedy : str
        What helps against a short time, besides more of it.

    Raises
    ------
    ConfigurationError
        ``budget_too_small``.
    DataError
        ``score_undefined``.
    TrainingError
        ``all_trials_failed``.
    """
    states = Counter(r["state"] for r in engine.records.values())
    failed = [r for r in engine.records.values() if r["state"] not in ("done", "deadline")]
    if states["done"]:
        raise DataError(
            "score_undefined",
            f"The metric is not defined on the held-out rows for any of {states['done']} trials.",
            "Hold out more rows, so that they have several classes or targets, or use another "
            "metric.",
        )
    if not failed:
        raise ConfigurationError(
            "budget_too_small",
            f"No trial ended within timeBudget={budget:g} s."
            if budget is not None
            else "No trial has a score.",
            f"Give it more time, or {remedy}.",
        )
    for record in failed:
        _logger.error(
            "trial %d: %s: %s\n%s",
            record["trial"],
            record["state"],
            record["reason"],
            record["trace"],
        )
    reasons = Counter(f"{r['state']}: {r['reason']}".rstrip(".") for r in failed)
    shown = "; ".join(f"{text} ({n})" for text, n in reasons.most_common(_SHOWN_REASONS))
    raise TrainingError(
        "all_trials_failed",
        f"All {len(failed)} trials failed. The most common reasons: {shown}.",
        "Correct the space or the learner; the log has the traces.",
    )
