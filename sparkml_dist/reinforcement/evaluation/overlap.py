"""Whether a log can tell the value of a policy: overlap, effective sizes, warnings."""

from __future__ import annotations

from typing import Any

import numpy as np

from sparkml_dist.errors import DataError
from sparkml_dist.reinforcement.evaluation.log_sums import LogFacts
from sparkml_dist.reinforcement.evaluation.replicates import Totals
from sparkml_dist.reinforcement.evaluation.weighted_episodes import EPISODE_SUMS

__all__ = ["diagnostics", "no_overlap", "warnings_of"]

_WEIGHTED = {"is", "wis", "clipped", "pdis", "wpdis", "dr", "wdr", "mis"}
_FEW = 30.0
_LITTLE = 0.1
_FAR = 4.0
_UNSEEN = 0.001


def diagnostics(total: Totals, facts: LogFacts, *, weighted: bool) -> dict[str, Any]:
    """Return numbers that say how well a log covers a policy.

    Returns
    -------
    dict
        ``episodes``, ``rows``; ``cut_off``, episodes that end without a termination;
        ``unknown``, those of them after which no state is known; ``logged_return``, mean
        discounted return of the log; ``share_lost``, mean probability of the policy on actions that
        the log never takes. `evaluate_policy` adds ``share_unseen``, of the actions that fitted
        values rest on, the share which the log never takes in the same state. Where
        probabilities are known: ``effective_episodes``, (Σw)² / Σw² of the weights of episodes;
        ``effective_rows``, the same of the ratios of rows; ``mean_weight`` and
        ``mean_ratio``, 1 but for chance where the log's policy takes every action that this one
        takes;
        ``mean_ratio_error``, the standard error of the latter as if rows were independent;
        ``clipped``, share of episodes of which ``"clipped"`` limits the weight.
    """
    sums, over = total.sums, total.overlap
    rows = over["rows"]
    found = {
        "episodes": facts.episodes,
        "rows": facts.rows,
        "cut_off": facts.cut_off,
        "unknown": facts.unknown,
        "logged_return": float(sums.mean("return")),
        "share_lost": over["lost"] / rows,
    }
    if weighted:
        one, weight = (float(sums.episodes[EPISODE_SUMS.index(n)]) for n in ("one", "weight"))
        mean = over["ratio"] / rows
        # Where the log has weights, shares of them times the number of its episodes or rows.
        found |= {
            "effective_episodes": _effective(one, weight, over["square"]) * facts.episodes,
            "effective_rows": _effective(rows, over["ratio"], over["square_ratio"]) * facts.rows,
            "mean_weight": weight / one,
            "mean_ratio": mean,
            "mean_ratio_error": float(
                np.sqrt(max(0.0, over["square_ratio"] / rows - mean**2) / facts.rows)
            ),
            "clipped": over["clipped"] / one,
        }
    return found


def _effective(one: float, weight: float, square: float) -> float:
    return weight**2 / (one * square) if square else 0.0


def warnings_of(found: dict[str, Any], methods: tuple[str, ...]) -> list[str]:
    """Return what makes estimates doubtful, in plain words."""
    said: list[str] = []
    weighted = [m for m in methods if m in _WEIGHTED]
    if found.get("share_unseen", 0.0) > _UNSEEN:
        said.append(
            f"The log never takes {found['share_unseen']:.1%} of the policy's actions in the same "
            "state: fitted values take what they bring as 0."
        )
    if found["share_lost"] > 0:
        said.append(
            f"The log never takes actions that have {found['share_lost']:.1%} of the policy's "
            "probability: what they bring is not known, and no estimate contains it."
        )
    size = found.get("effective_episodes")
    if weighted and size is not None:
        if size < _FEW or size < _LITTLE * found["episodes"]:
            said.append(
                f"The weights of {found['episodes']:,} episodes are worth {size:,.1f} equal ones: "
                f"the estimates {', '.join(weighted)} rest on few episodes, and their intervals "
                "may be "
                "too narrow."
            )
        away = abs(found["mean_ratio"] - 1)
        if away > _FAR * found["mean_ratio_error"] + 1e-9:
            said.append(
                f"The ratios of probabilities average {found['mean_ratio']:.3f} and not 1: the "
                "probabilities of the log are not those with which actions were taken, or in some "
                "states the log never takes an action that the policy takes."
            )
    if found["unknown"]:
        said.append(
            f"{found['unknown']:,} episodes are cut off where the next state is not known: the "
            "estimates "
            "have no rewards after that."
        )
    elif found["cut_off"] and set(methods) & {"is", "wis", "clipped", "pdis", "wpdis"}:
        said.append(
            f"{found['cut_off']:,} of {found['episodes']:,} episodes are cut off: estimates by "
            "importance sampling alone have no rewards after that; those with values have."
        )
    return said


def no_overlap(facts: LogFacts, share: float) -> DataError:
    """Return the error for a policy that takes actions which the log never takes."""
    never = [a for a, n in zip(facts.actions, facts.taken, strict=True) if not n]
    shown = ", ".join(map(repr, never[:8])) or "actions that it does not list"
    return DataError(
        "no_overlap",
        f"The policy takes actions which the log never takes ({shown}), with {share:.1%} of its "
        "probability: the log does not tell what they bring.",
        "Evaluate a policy without them; or pass unsupported='bound' with rewardRange=(least, "
        "most) for bounds of the value.",
    )
