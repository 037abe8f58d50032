"""Estimates the value of a policy from the log of another one."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparkml_dist.errors import ConfigurationError, nearest
from sparkml_dist.reinforcement.evaluation.estimators import (
    METHODS,
    PER_STEP,
    SumsOfEpisodes,
    estimates,
)
from sparkml_dist.reinforcement.evaluation.intervals import INTERVALS, interval, standard_error
from sparkml_dist.reinforcement.evaluation.log_sums import LogFacts, LogSums, ShardLog
from sparkml_dist.reinforcement.evaluation.overlap import diagnostics, no_overlap, warnings_of
from sparkml_dist.reinforcement.evaluation.policy_columns import PolicyColumns
from sparkml_dist.reinforcement.evaluation.policy_evaluation import Estimate, PolicyEvaluation
from sparkml_dist.reinforcement.evaluation.replicates import Moments, Totals, replicates, totals
from sparkml_dist.reinforcement.evaluation.state_basis import ListedStates, StateFeatures
from sparkml_dist.reinforcement.evaluation.state_list import listed_states
from sparkml_dist.reinforcement.evaluation.value_sums import FittedValues, fit_values
from sparkml_dist.reinforcement.evaluation.weighted_episodes import Setting
from sparkml_dist.reinforcement.policy import Policy
from sparkml_dist.reinforcement.transition_dataset import TransitionDataset
from sparkml_dist.session import get_session

__all__ = ["EvaluationOptions", "evaluate_log", "evaluate_policy"]

_logger = logging.getLogger(__name__)

_FITTED = {"dm", "fqe", "dr", "wdr", "mis"}
_WEIGHTED = set(METHODS) - {"dm", "fqe"}
_MOST_STATES = 512
_MOST_CELLS = 1 << 22
_BASES = ("auto", "states", "linear", "quadratic")


@dataclass(frozen=True)
class EvaluationOptions:
    """How policies are evaluated; see `evaluate_policy`."""

    methods: tuple[str, ...] = ("fqe", "wis", "wdr")
    discount: float = 0.99
    interval: str = "student"
    level: float = 0.95
    replicates: int = 500
    clip: float | None = None
    basis: str = "auto"
    folds: int = 1
    unsupported: str = "refuse"
    reward_range: tuple[float, float] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for method in self.methods:
            if method not in METHODS:
                raise ConfigurationError(
                    "invalid_param",
                    f"There is no method {method!r}.{nearest(method, list(METHODS))}",
                    f"Methods are: {', '.join(METHODS)}.",
                )
        checks = {
            f"interval must be one of {', '.join(INTERVALS)}": self.interval in INTERVALS,
            f"basis must be one of {', '.join(_BASES)}": self.basis in _BASES,
            "unsupported must be 'refuse' or 'bound'": self.unsupported in ("refuse", "bound"),
            "discount must be in [0, 1]": 0 <= self.discount <= 1,
            "level must be between 0 and 1": 0 < self.level < 1,
            "replicates must be 0, or at least 50": self.replicates == 0 or self.replicates >= 50,
            "clip must be > 0": self.clip is None or self.clip > 0,
            "folds must be >= 1": self.folds >= 1,
            "methods must name one": bool(self.methods),
        }
        for message, holds in checks.items():
            if not holds:
                raise ConfigurationError("invalid_param", f"{message}.")
        if self.replicates == 0 and self.interval in ("bca", "percentile"):
            raise ConfigurationError(
                "conflicting_params",
                f"The interval {self.interval!r} needs replicates.",
                "Ask for replicates, or use interval='student'.",
            )
        if self.unsupported == "bound" and (
            self.reward_range is None or self.reward_range[0] > self.reward_range[1]
        ):
            raise ConfigurationError(
                "conflicting_params",
                "unsupported='bound' needs rewardRange=(least, most).",
                "Bounds of the value follow from those of the reward.",
            )


def evaluate_policy(
    policy: Any,
    transitions: TransitionDataset,
    methods: Sequence[str] = ("fqe", "wis", "wdr"),
    *,
    discount: float = 0.99,
    q: Any = None,
    basis: str = "auto",
    interval: str = "student",
    level: float = 0.95,
    replicates: int = 500,
    clip: float | None = None,
    folds: int = 1,
    unsupported: str = "refuse",
    rewardRange: tuple[float, float] | None = None,
    seed: int = 0,
) -> PolicyEvaluation:
    """Estimate the value of a policy, its mean discounted return, from the log of another one.

    Two or three passes over the shards add up the episodes without rounding: estimates and
    intervals are the same to the bit for any number of shards. All bootstrap replicates are formed
    in one pass.

    Parameters
    ----------
    policy : Policy
        ``probabilities(states)`` and ``actions``; it runs in tasks. A `PolicyModel`, or a class of
        your own.
    transitions : TransitionDataset
        Of `Transitions`, with `behaviorProb` for all methods but ``"dm"`` and ``"fqe"``; see
        `estimate_propensities` for logs without.
    methods : sequence of str, default=("fqe", "wis", "wdr")
        - ``"is"``, ``"wis"``: returns times the weight of the episode, the product of the ratios of
          probabilities; divided by the number of episodes, or by the sum of weights.
        - ``"clipped"``: ``"is"`` with weights of at most `clip`.
        - ``"pdis"``, ``"wpdis"``: rewards times the weight up to their steps.
        - ``"fqe"``: fitted Q evaluation with the basis.
        - ``"dm"``: mean value of first states by `q`, or else by fitted Q evaluation. The interval
          is that of first states alone: errors of the values are not in it.
        - ``"dr"``, ``"wdr"``: doubly robust, values corrected by weighted residuals.
        - ``"mis"``: marginalized weighting: values of states from weighted transitions.
    discount : float, default=0.99
        Used where the log has no discounts.
    q : LocalPolicy or PolicyModel, optional
        Values for ``"dm"``, ``"dr"`` and ``"wdr"``, those of `policy`; learnt from other episodes,
        or their intervals are too narrow. Fitted by default.
    basis : {"auto", "states", "linear", "quadratic"}, default="auto"
        What fitted values are linear in, for each action: a list of all states of the log, a
        constant and the features, or their squares and products as well. ``"auto"`` is ``"states"``
        for up to 512.
    interval : {"student", "percentile", "bca", "normal"}, default="student"
        From the standard error; or quantiles of bootstrap replicates, as they are or corrected for
        bias and skewness.
    level : float, default=0.95
    replicates : int, default=500
        Bootstrap replicates, of episodes. 0 for none.
    clip : float, optional
        Largest weight of an episode for ``"clipped"``; the square root of their number by default.
    folds : int, default=1
        With more, the fitted values in ``"dr"`` and ``"wdr"`` are those of the episodes in other
        folds: for bases of many functions, which would adapt to the episodes that correct them.
    unsupported : {"refuse", "bound"}, default="refuse"
        What is done about a policy that takes actions which the log never takes: an error, or
        bounds of the value from `rewardRange`.
    rewardRange : (float, float), optional
        Least and largest reward that is possible.
    seed : int, default=0
        Of replicates and folds.

    Returns
    -------
    PolicyEvaluation

    Raises
    ------
    ConfigurationError
        ``invalid_param``, ``conflicting_params``; ``no_propensities`` where a method needs
        the probabilities of the logged actions.
    DataError
        ``no_overlap``; ``probability_range`` where probabilities are none.

    References
    ----------
    Voloshin, Le, Jiang, Yue (2021), "Empirical study of off-policy policy evaluation for
    reinforcement learning". Jiang, Li (2016); Thomas, Brunskill (2016); Xie, Ma, Wang (2019).

    Examples
    --------
    >>> log = spark.createDataFrame(
    ...     [(i, 0, "ad" if i % 4 else "none", float(i % 4 > 1), True, 0.75 if i % 4 else 0.25)
    ...      for i in range(40)],
    ...     "id int, t int, shown string, click double, over boolean, p double")
    >>> made = Transitions(log, episode="id", step="t", state="t", action="shown",
    ...                    reward="click", terminated="over", behaviorProb="p")
    >>> found = evaluate_policy(UniformPolicy(made.actions), made, ["is", "wis"])
    >>> round(found.estimates["wis"].value, 4)
    0.3333
    """
    options = EvaluationOptions(
        tuple(methods),
        discount,
        interval,
        level,
        replicates,
        clip,
        basis,
        folds,
        unsupported,
        rewardRange,
        seed,
    )
    log = ShardLog(get_session(), transitions)
    has_propensities = "behaviorProb" in transitions.schema.columns
    _check(policy, log.facts, options, has_propensities)
    return evaluate_log(
        policy,
        log,
        options,
        basis=None if q is not None and not _needs_fit(options, q) else _basis(log, options),
        q=q,
        has_propensities=has_propensities,
    )


def evaluate_log(
    policy: Any,
    log: LogSums,
    options: EvaluationOptions,
    *,
    basis: ListedStates | StateFeatures | None,
    q: Any = None,
    has_propensities: bool = True,
) -> PolicyEvaluation:
    """Evaluate a policy on a log, wherever that is; see `evaluate_policy`."""
    facts, methods = log.facts, options.methods
    _check(policy, facts, options, has_propensities)
    local, values = _local(policy), None if q is None else _local(q)
    columns = PolicyColumns(local, facts.actions, values)
    fitted: FittedValues | None = None
    if basis is not None and _needs_fit(options, q):
        fitted = fit_values(
            log,
            columns,
            basis,
            options.discount,
            folds=options.folds,
            seed=options.seed,
            marginal="mis" in methods,
        )
    setting = Setting(
        columns,
        options.discount,
        options.clip or float(np.sqrt(facts.episodes)),
        fitted,
        values is not None,
        options.seed,
        tuple(n == 0 for n in facts.taken),
        options.reward_range,
        facts.horizon,
    )
    by_step = bool(set(methods) & set(PER_STEP))
    total = totals(log, setting, by_step=by_step)
    measured = diagnostics(total, facts, weighted=has_propensities)
    measured["share_unseen"] = 0.0 if fitted is None else fitted.all.unseen
    if measured["share_lost"] > 0 and options.unsupported == "refuse":
        raise no_overlap(facts, measured["share_lost"])
    moments = replicates(
        log, setting, total, methods, number=options.replicates, seed=options.seed, by_step=by_step
    )
    warned = warnings_of(measured, methods)
    for warning in warned:
        _logger.warning("%s", warning)
    bounds = None
    if options.unsupported == "bound" and has_propensities:
        bounds = float(total.sums.mean("low")), float(total.sums.mean("high"))
    return PolicyEvaluation(
        _estimates(total, moments, options), measured, bounds, warned, options.level
    )


def _estimates(total: Totals, moments: Moments, options: EvaluationOptions) -> dict[str, Estimate]:
    values = estimates(total.sums, options.methods)
    drawn: SumsOfEpisodes = moments.replicates
    copies = estimates(drawn, options.methods)
    episodes = float(total.sums.episodes[0])
    found = {}
    for i, method in enumerate(options.methods):
        value, influence = float(values[method]), moments.influence[i]
        ends = interval(options.interval, value, copies[method], influence, episodes, options.level)
        error = standard_error(influence, episodes)
        found[method] = Estimate(value, error, *ends, copies[method])
    return found


def _needs_fit(options: EvaluationOptions, q: Any) -> bool:
    needed = _FITTED if q is None else {"fqe", "mis"}
    return bool(needed & set(options.methods))


def _check(
    policy: Any, facts: LogFacts, options: EvaluationOptions, has_propensities: bool
) -> None:
    """Raise for what is wrong before any job."""
    if not hasattr(policy, "to_local") and not isinstance(policy, Policy):
        raise ConfigurationError(
            "invalid_param",
            f"policy is a {type(policy).__name__}, which has no probabilities(states) and actions.",
            "Pass the model of a policy, or an object with both.",
        )
    weighted = sorted(_WEIGHTED & set(options.methods))
    if weighted and not has_propensities:
        raise ConfigurationError(
            "no_propensities",
            f"The methods {', '.join(weighted)} need the probability of each logged action, which "
            "these transitions do not have.",
            "Name its column with behaviorProb, add one by estimate_propensities, or use 'fqe'.",
        )
    if not facts.actions:
        raise ConfigurationError(
            "invalid_param",
            "The actions of this log are numbers: a policy over a list of actions has no "
            "probabilities for them.",
            "Group the actions in ranges, and make transitions with the list.",
        )
    cells = options.replicates * facts.horizon if set(options.methods) & set(PER_STEP) else 0
    if cells > _MOST_CELLS:
        raise ConfigurationError(
            "invalid_param",
            f"{options.replicates:,} replicates of episodes of {facts.horizon:,} steps take too "
            "much memory for 'wpdis' and 'wdr'.",
            "Ask for fewer replicates, or leave these methods out.",
        )


def _local(policy: Any) -> Any:
    return policy.to_local() if hasattr(policy, "to_local") else policy


def _basis(log: ShardLog, options: EvaluationOptions) -> ListedStates | StateFeatures | None:
    if not _FITTED & set(options.methods):
        return None
    if options.basis in ("auto", "states"):
        most = _MOST_STATES if options.basis == "auto" else 16 * _MOST_STATES
        listed = listed_states(log.spark, log.data, most)
        if listed is not None:
            return listed
        if options.basis == "states":
            raise ConfigurationError(
                "invalid_param",
                f"The log has more than {most:,} different states.",
                "Use basis='linear' or 'quadratic', or pass q.",
            )
    return StateFeatures.of(log.data.schema.state, 2 if options.basis == "quadratic" else 1)
