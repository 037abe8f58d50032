"""Data sets with published answers, and fits of them without Spark."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from sparkml_dist.dataset.held_blocks import HeldBlocks
from sparkml_dist.statistics.design import Design
from sparkml_dist.statistics.families import family_of
from sparkml_dist.statistics.fit_glm import fit_glm
from sparkml_dist.statistics.fit_multinomial import fit_multinomial
from sparkml_dist.statistics.glm_problem import GlmProblem
from tests.written import written

# NIST, StRD: employment by deflator, GNP, unemployed, armed forces, population, year.
LONGLEY = np.array(
    [
        (60323, 83.0, 234289, 2356, 1590, 107608, 1947),
        (61122, 88.5, 259426, 2325, 1456, 108632, 1948),
        (60171, 88.2, 258054, 3682, 1616, 109773, 1949),
        (61187, 89.5, 284599, 3351, 1650, 110929, 1950),
        (63221, 96.2, 328975, 2099, 3099, 112075, 1951),
        (63639, 98.1, 346999, 1932, 3594, 113270, 1952),
        (64989, 99.0, 365385, 1870, 3547, 115094, 1953),
        (63761, 100.0, 363112, 3578, 3350, 116219, 1954),
        (66019, 101.2, 397469, 2904, 3048, 117388, 1955),
        (67857, 104.6, 419180, 2822, 2857, 118734, 1956),
        (68169, 108.4, 442769, 2936, 2798, 120445, 1957),
        (66513, 110.8, 444546, 4681, 2637, 121950, 1958),
        (68655, 112.6, 482704, 3813, 2552, 123366, 1959),
        (69564, 114.2, 502601, 3931, 2514, 125368, 1960),
        (69331, 115.7, 518173, 4806, 2572, 127852, 1961),
        (70551, 116.9, 554894, 4007, 2827, 130081, 1962),
    ]
)
LONGLEY_COEFFICIENTS = np.array(
    [
        -3482258.63459582,
        15.0618722713733,
        -0.358191792925910e-01,
        -2.02022980381683,
        -1.03322686717359,
        -0.511041056535807e-01,
        1829.15146461355,
    ]
)
LONGLEY_ERRORS = np.array(
    [
        890420.383607373,
        84.9149257747669,
        0.334910077722432e-01,
        0.488399681651699,
        0.214274163161675,
        0.226073200069370,
        455.478499142212,
    ]
)
LONGLEY_DEVIATION = 304.854073561965

# Spector and Mazzeo (1980): GPA, TUCE, PSI, grade.
SPECTOR = np.array(
    [
        (2.66, 20, 0, 0), (2.89, 22, 0, 0), (3.28, 24, 0, 0), (2.92, 12, 0, 0), (4.0, 21, 0, 1),
        (2.86, 17, 0, 0), (2.76, 17, 0, 0), (2.87, 21, 0, 0), (3.03, 25, 0, 0), (3.92, 29, 0, 1),
        (2.63, 20, 0, 0), (3.32, 23, 0, 0), (3.57, 23, 0, 0), (3.26, 25, 0, 1), (3.53, 26, 0, 0),
        (2.74, 19, 0, 0), (2.75, 25, 0, 0), (2.83, 19, 0, 0), (3.12, 23, 1, 0), (3.16, 25, 1, 1),
        (2.06, 22, 1, 0), (3.62, 28, 1, 1), (2.89, 14, 1, 0), (3.51, 26, 1, 0), (3.54, 24, 1, 1),
        (2.83, 27, 1, 1), (3.39, 17, 1, 1), (2.67, 24, 1, 0), (3.65, 21, 1, 1), (4.0, 23, 1, 1),
        (3.1, 21, 1, 0), (2.39, 19, 1, 1),
    ]
)  # fmt: skip

COUNTS = np.array([18, 17, 15, 20, 10, 20, 25, 13, 12.0])  # Dobson (1990), R's ?glm
OUTCOME, TREATMENT = np.tile([0, 1, 2], 3), np.repeat([0, 1, 2], 3)


def fit(X: Any, y: Any, family: str, link: str | None = None, **given: Any) -> dict[str, Any]:
    """Fit without Spark; what names a part of a data set, a family or a problem goes there."""

    def taken(*names: str) -> dict[str, Any]:
        return {name: given.pop(name) for name in names if name in given}

    classes, solve = given.get("classes"), given.pop("solve", None)
    of_data = taken("shards", "groups", "names", "categories", "classes", "weight", "key")
    of_family = taken("overdispersion", "variance_power", "link_power")
    of_design = {"intercept": True, **taken("intercept", "offset", "handling")}
    with tempfile.TemporaryDirectory() as folder:
        data = written(
            Path(folder) / "d", np.asarray(X) if isinstance(X, list) else X, y, **of_data
        )
        design = Design.of(data.schema, **of_design)
        problem = GlmProblem(design, family_of(family, link, **of_family), **given)
        sums = HeldBlocks(data, memory=1 << 30)
        if solve is not None:
            return solve(sums, problem)
        if classes is not None and len(classes) > 2:
            return fit_multinomial(sums, problem, len(classes))
        return fit_glm(sums, problem)


def errors(found: dict[str, Any]) -> Any:
    """Return standard errors."""
    return np.sqrt(np.diag(found["covariance"]))


def digits(found: Any, true: Any) -> float:
    """Return the number of right digits of the worst number."""
    found, true = np.asarray(found), np.asarray(true)
    return float(np.min(-np.log10(np.maximum(np.abs(found / true - 1), 1e-16))))
