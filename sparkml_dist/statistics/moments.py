"""The first passes of a fit: means for missing values, counts, means and the targets' domain."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sparkml_dist.cluster.sums.layout import Arrays, Summands
from sparkml_dist.dataset.block import Block
from sparkml_dist.dataset.sums import Sums
from sparkml_dist.statistics.checks import check_moments, check_squares
from sparkml_dist.statistics.design import Design
from sparkml_dist.statistics.families import Family
from sparkml_dist.statistics.glm_problem import GlmProblem
from sparkml_dist.statistics.sparse_columns import SparseColumns

__all__ = ["Moments", "feature_means", "first_moments"]


@dataclass(frozen=True)
class Moments:
    """The first pass: counts, means and the domain of the targets.

    Attributes
    ----------
    design : Design
        Without a centre.
    family : Family
    """

    design: Design
    family: Family

    def __call__(self, block: Block) -> Summands:
        """Return the sums of a block."""
        D, y, w, offset, _ = self.design.rows(block)
        with np.errstate(over="ignore"):  # refused by `check_squares`
            squares = D.squares() if isinstance(D, SparseColumns) else D * D
        return {
            "rows": len(block),
            "used": int(np.count_nonzero(w)),
            "weight": w.sum(),
            "x": D.T @ w,
            "xx": squares.T @ w,
            "y": y @ w,
            "invalid": int(self.family.invalid(y).sum()),
            "not_finite": int((~np.isfinite(y)).sum()),
            "offsets": int(np.count_nonzero(~np.isfinite(np.asarray(offset)))),
        }


def first_moments(sums: Sums, problem: GlmProblem, label: str) -> tuple[Arrays, Design]:
    """Run the first pass; return its sums, and the design with means for missing values."""
    design = problem.design
    if design.handling == "mean" and sums.data.manifest.missing_features and not design.sparse:
        means = sums.add(feature_means)
        with np.errstate(invalid="ignore"):
            found = np.where(means["rows"] > 0, means["sum"] / means["rows"], 0.0)
        for i, categories in enumerate(design.categories):
            if categories:  # the most frequent category would need counts: the reference
                found[i] = 0.0
        design = replace(design, means=tuple(found.tolist()))
    moments = sums.add(Moments(design.lean(), problem.family))
    check_moments(moments, problem.family, label)
    check_squares(design.terms, np.asarray(moments["xx"]))
    return moments, design


def feature_means(block: Any) -> dict[str, Any]:
    """Return sums and numbers of the known values of each feature of a block."""
    known = ~np.isnan(block.X)
    w = block.row_weights
    return {"sum": w @ np.where(known, block.X, 0.0), "rows": w @ known}
