"""What is known of the value of a policy: estimates, intervals, diagnostics, warnings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.html.summary import Row, ShowsItself

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["Estimate", "PolicyEvaluation"]


@dataclass(frozen=True)
class Estimate:
    """One method's estimate of the value of a policy.

    Attributes
    ----------
    value : float
    error : float
        Standard error. Weights of a log count as repetitions: where they only say how much episodes
        matter, scale them to a mean of 1.
    low, high : float
        Ends of the confidence interval.
    replicates : ndarray, shape (b,)
        Estimates of bootstrap replicates; those of other policies on the same log are of the same
        draws.
    """

    value: float
    error: float
    low: float
    high: float
    replicates: npt.NDArray[np.float64] = field(repr=False)


@dataclass(frozen=True)
class PolicyEvaluation(ShowsItself):
    """The value of a policy, estimated from the log of another one.

    Attributes
    ----------
    estimates : dict of str to Estimate
        By method.
    diagnostics : dict
        See `sparkml_dist.reinforcement.evaluation.overlap.diagnostics`.
    bounds : (float, float) or None
        Where the policy takes actions that the log never takes: the least and the largest value by
        the range of rewards, in episodes of at most as many steps as the log's, without errors of
        sampling.
    warnings : list of str
        What makes the estimates doubtful.
    level : float
        Level of the intervals.
    """

    estimates: dict[str, Estimate]
    diagnostics: dict[str, Any]
    bounds: tuple[float, float] | None
    warnings: list[str]
    level: float

    @property
    def table(self) -> pd.DataFrame:
        """A row for each method: estimate, standardError, lower, upper."""
        import pandas as pd

        rows = [(m, e.value, e.error, e.low, e.high) for m, e in self.estimates.items()]
        return pd.DataFrame(rows, columns=["method", "estimate", "standardError", "lower", "upper"])

    def plot(self) -> Figure:
        """Return a picture of the estimates and their intervals."""
        from sparkml_dist.report.plots.estimates import plot_estimates
        from sparkml_dist.report.plots.figure import figure_of

        shown = {m: (e.value, e.low, e.high) for m, e in self.estimates.items()}
        logged = self.diagnostics["logged_return"]
        return figure_of(lambda folder: plot_estimates({"": shown}, folder, reference=logged))

    def _shown(self) -> Iterator[Row]:
        for method, e in self.estimates.items():
            yield Row(method, f"{e.value:,.6g}", f"({e.low:,.6g} to {e.high:,.6g})")
        if self.bounds is not None:
            yield Row("bounds", f"{self.bounds[0]:,.6g} to {self.bounds[1]:,.6g}")
        yield Row("return of the log", f"{self.diagnostics['logged_return']:,.6g}")
        if "effective_episodes" in self.diagnostics:
            size, all_ = self.diagnostics["effective_episodes"], self.diagnostics["episodes"]
            yield Row("effective episodes", f"{size:,.1f}", f"of {all_:,}")
        for warning in self.warnings:
            yield Row("warning", warning)
