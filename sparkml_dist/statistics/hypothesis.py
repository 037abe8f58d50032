"""The result of a test of a hypothesis."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sparkml_dist.html.summary import Row, ShowsItself, numbers

__all__ = ["TestResult"]


@dataclass(frozen=True)
class TestResult(ShowsItself):
    """The result of a test of a hypothesis.

    Attributes
    ----------
    method : str
        Name of the test.
    statistic : float
    pValue : float
        Two-sided, where the statistic has a sign.
    degreesOfFreedom : tuple of float
        Of the distribution of the statistic; two for F.
    rows : int
        Rows without missing values, which alone count.
    estimates : dict
        What the test compares, by name.
    """

    __test__ = False  # pytest takes classes of this name for its own

    method: str
    statistic: float
    pValue: float
    degreesOfFreedom: tuple[float, ...]
    rows: int
    estimates: dict[str, Any] = field(default_factory=dict)

    def _shown(self) -> Iterator[Row]:
        yield Row("test", self.method)
        yield Row("statistic", f"{self.statistic:.6g}")
        yield Row("degrees of freedom", ", ".join(f"{v:g}" for v in self.degreesOfFreedom))
        yield Row("p", f"{self.pValue:.4g}")
        yield Row("rows", f"{self.rows:,}")
        yield Row("estimates", numbers(self.estimates, ".4g"))

    def __str__(self) -> str:
        freedom = ", ".join(f"{value:g}" for value in self.degreesOfFreedom)
        return (
            f"{self.method}: statistic {self.statistic:.6g}, df {freedom}, "
            f"p {self.pValue:.4g} ({self.rows:,} rows)"
        )
