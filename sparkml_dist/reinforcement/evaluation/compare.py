"""Compares policies on one log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.html.summary import Row, ShowsItself
from sparkml_dist.reinforcement.evaluation.evaluate import evaluate_policy
from sparkml_dist.reinforcement.evaluation.policy_evaluation import PolicyEvaluation
from sparkml_dist.reinforcement.transition_dataset import TransitionDataset

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["PolicyComparison", "compare_policies"]


@dataclass(frozen=True)
class PolicyComparison(ShowsItself):
    """Policies that were evaluated on the same log, with the same bootstrap draws.

    Attributes
    ----------
    evaluations : dict of str to PolicyEvaluation
        By policy.
    """

    evaluations: dict[str, PolicyEvaluation]

    @property
    def table(self) -> pd.DataFrame:
        """A row for each policy and method, in the columns of `PolicyEvaluation.table`."""
        import pandas as pd

        parts = []
        for name, found in self.evaluations.items():
            part = found.table
            part.insert(0, "policy", name)
            part["effectiveEpisodes"] = found.diagnostics.get("effective_episodes", np.nan)
            parts.append(part)
        return pd.concat(parts, ignore_index=True)

    def differences(self, baseline: str) -> pd.DataFrame:
        """Return how much better each policy is than one of them.

        Both are estimated on the same bootstrap draws, so that what is common to them cancels.

        Parameters
        ----------
        baseline : str

        Returns
        -------
        pandas.DataFrame
            Columns policy, method, difference, standardError, lower, upper (quantiles of the
            replicates), shareBetter (of replicates in which the policy is better).

        Raises
        ------
        ConfigurationError
            ``invalid_param`` where there is no such policy, or there are no replicates.
        """
        import pandas as pd

        if baseline not in self.evaluations:
            raise ConfigurationError(
                "invalid_param",
                f"There is no policy {baseline!r}.",
                f"Policies are: {', '.join(self.evaluations)}.",
            )
        rows = []
        base = self.evaluations[baseline]
        tail = (1 - base.level) / 2
        for name, found in self.evaluations.items():
            if name == baseline:
                continue
            for method, own in found.estimates.items():
                other = base.estimates[method]
                drawn = own.replicates - other.replicates
                drawn = drawn[np.isfinite(drawn)]
                if not len(drawn):
                    raise ConfigurationError(
                        "invalid_param", "Differences need replicates.", "Pass replicates=500."
                    )
                low, high = np.quantile(drawn, [tail, 1 - tail])
                better = float(np.mean(drawn > 0))
                spread = float(drawn.std(ddof=1))
                rows.append((name, method, own.value - other.value, spread, low, high, better))
        names = ["policy", "method", "difference", "standardError", "lower", "upper", "shareBetter"]
        return pd.DataFrame(rows, columns=names)

    def plot(self) -> Figure:
        """Return a picture of all estimates and their intervals, and of the log's return."""
        from sparkml_dist.report.plots.estimates import plot_estimates
        from sparkml_dist.report.plots.figure import figure_of

        shown = {
            name: {m: (e.value, e.low, e.high) for m, e in found.estimates.items()}
            for name, found in self.evaluations.items()
        }
        logged = next(iter(self.evaluations.values())).diagnostics["logged_return"]
        return figure_of(
            lambda folder: plot_estimates(shown, folder, reference=logged, title="Policies")
        )

    def _shown(self) -> Iterator[Row]:
        for name, found in self.evaluations.items():
            for method, e in found.estimates.items():
                yield Row(
                    f"{name}, {method}", f"{e.value:,.6g}", f"({e.low:,.6g} to {e.high:,.6g})"
                )
            for warning in found.warnings:
                yield Row(name, warning)


def compare_policies(
    policies: Mapping[str, Any],
    transitions: TransitionDataset,
    methods: Sequence[str] = ("fqe", "wis", "wdr"),
    **options: Any,
) -> PolicyComparison:
    """Evaluate several policies on one log, with the same bootstrap draws.

    Parameters
    ----------
    policies : mapping of str to Policy
        By name.
    transitions : TransitionDataset
    methods, **options
        As for `evaluate_policy`; without `q`, which belongs to one policy.

    Returns
    -------
    PolicyComparison
        With ``table``, ``differences(baseline)`` and ``plot()``.

    Raises
    ------
    SparkMLDistError
        As `evaluate_policy`.

    Examples
    --------
    >>> log = spark.createDataFrame(
    ...     [(i, i % 2, float(i % 2)) for i in range(40)], "id int, arm int, gain double"
    ... ).selectExpr("*", "0 AS t", "true AS over", "0.5D AS p")
    >>> made = Transitions(log, episode="id", step="t", state="t", action="arm", reward="gain",
    ...                    terminated="over", behaviorProb="p")
    >>> uniform = UniformPolicy(made.actions)
    >>> found = compare_policies({"a": uniform, "b": EpsilonGreedy(uniform, 0.5)}, made, ["wis"])
    >>> found.differences("a").difference.tolist()
    [0.0]
    """
    if not policies:
        raise ConfigurationError("invalid_param", "policies must name at least one.")
    if "q" in options:
        raise ConfigurationError(
            "invalid_param", "q are the values of one policy.", "Use evaluate_policy."
        )
    return PolicyComparison(
        {
            str(name): evaluate_policy(policy, transitions, methods, **options)
            for name, policy in policies.items()
        }
    )
