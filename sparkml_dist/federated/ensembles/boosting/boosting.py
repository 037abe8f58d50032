"""Gradient boosting over silos: the coordinator grows trees from sums of the silos' histograms."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import DataError
from sparkml_dist.federated.ensembles.boosting.count_work import agreed_cuts
from sparkml_dist.federated.ensembles.boosting.forest import Forest, Tree
from sparkml_dist.federated.ensembles.boosting.gradients import Objective, grid_of
from sparkml_dist.federated.ensembles.boosting.splits import Growth, best_splits, bin_offsets

if TYPE_CHECKING:
    from sparkml_dist.federated.federation import Federation

__all__ = ["BoostedTrees", "boost"]

# Of one silo's sums of weights, targets and their squares, where they are summed in fixed point.
_LABEL_RANGES = {"sums": 1e12, "rows": 1e9}


@dataclass(frozen=True, eq=False)
class BoostedTrees:
    """Trees that silos have grown together.

    Attributes
    ----------
    objective : Objective
    base : float
        Score of a row before all trees.
    cuts : list of ndarray of float32
        Cut points of each feature.
    trees : list of Tree
    history : list of float
        Log loss, or root of the mean squared error, of all silos' rows after each round.
    silos : list of list of str
        Which silos' rows are in each round.
    """

    objective: Objective
    base: float
    cuts: list[npt.NDArray[np.float32]]
    trees: list[Tree]
    history: list[float]
    silos: list[list[str]]


def boost(
    federation: Federation,
    *,
    rounds: int = 100,
    growth: Growth = Growth(),  # noqa: B008 - it is frozen
    bins: int = 64,
    minimum: int = 1,
    secure: Any = None,
) -> BoostedTrees:
    """Grow boosted trees from the silos' sums of gradients.

    The silos agree on cut points. For every level of a tree, each sends the sums of its gradients
    and hessians in bins, the sums are added up, and the coordinator splits the nodes. Gradients are
    rounded to a grid on which sums in double precision are exact. So the trees do not depend on
    which silo holds which row: they are those of all rows in one place.

    Parameters
    ----------
    federation : Federation
    rounds : int, default=100
        Trees, or trees of each class where there are more than two.
    growth : Growth
    bins : int, default=64
        Most bins of a feature.
    minimum : int, default=1
        Silos that must answer in every round.
    secure : SecureSum, optional
        Adds histograms up so that the coordinator sees only their sums.

    Raises
    ------
    DataError
        ``no_training_rows``.

    References
    ----------
    Cheng et al. (2021), "SecureBoost: a lossless federated learning framework", with rows in place
    of columns in silos; Chen, Guestrin (2016), "XGBoost: a scalable tree boosting system".
    """
    run = _Run.start(federation, growth, bins, minimum, secure)
    for _ in range(rounds):
        run.grow()
    run.ask([], np.empty(0, np.int64))  # the loss after the last round
    return BoostedTrees(run.objective, run.base, run.cuts, run.trees, run.losses[1:], run.answered)


@dataclass
class _Run:
    federation: Any
    growth: Growth
    objective: Objective
    base: float
    grids: list[int]
    cuts: list[npt.NDArray[np.float32]]
    ranges: dict[str, float]
    minimum: int
    secure: Any
    trees: list[Tree] = field(default_factory=list)
    applied: dict[str, int] = field(default_factory=dict)
    losses: list[float] = field(default_factory=list)
    answered: list[list[str]] = field(default_factory=list)

    @classmethod
    def start(
        cls, federation: Federation, growth: Growth, bins: int, minimum: int, secure: Any
    ) -> _Run:
        found = federation.sum(
            "label_sums", minimum=minimum, secure=secure, ranges=_LABEL_RANGES
        ).arrays
        sums, rows = found["sums"], float(found["rows"][0])
        classes = federation.schema.n_classes
        total = float(sums.sum() if classes else sums[0])
        if not total > 0:
            raise DataError("no_training_rows", "The silos have no rows with a weight above 0.")
        base, most = 0.0, 1.0
        if classes == 2:
            share = min(max(sums[1] / total, 1e-6), 1 - 1e-6)
            base = math.log(share / (1 - share))
        elif not classes:
            base = sums[1] / total
            # Of a mean squared error that only falls, by the inequality of Cauchy and Schwarz.
            most = math.sqrt(max(sums[2] / total - base * base, 0.0)) * 2 + abs(base) * 1e-6
        base = float(np.float32(base))
        scale = max(total, rows)
        grids = [grid_of(most * scale), grid_of(scale)]
        # A row loses less than 64 unless its probability is below the least double.
        ranges = {"histograms": max(most * scale, scale), "loss": 64 * scale * most * most}
        cuts = agreed_cuts(federation, bins, minimum=minimum, secure=secure)
        own = Objective(classes)
        names = dict.fromkeys(federation.names, 0)
        return cls(
            federation, growth, own, base, grids, cuts, ranges, minimum, secure, applied=names
        )

    def ask(self, grown: list[Tree], active: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Return the summed histograms of the nodes `active` of the trees `grown`.

        With trees that have only roots yet, silos also get the finished trees that they lack.
        """
        finished = len(self.trees)
        first = all(len(tree) == 1 for tree in grown)
        since = max(self.applied.values(), default=0) if first else finished
        common = self._arrays(grown, since, active)
        facts = self._facts(since)
        own: dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
            name: (self._facts(known), self._arrays(grown, known, active))
            for name, known in self.applied.items()
            if known < since and first
        }
        summed = self.federation.sum(
            "gradient_histograms",
            facts,
            common,
            own=own or None,
            minimum=self.minimum,
            secure=self.secure,
            ranges=self.ranges,
        )
        if first:
            self.applied |= dict.fromkeys(summed.silos, finished)
            self.answered.append(list(summed.silos))
            loss, weight = summed.arrays["loss"]
            mean = float(loss / weight) if weight > 0 else 0.0
            self.losses.append(mean if self.objective.n_classes else math.sqrt(mean))
        found: npt.NDArray[np.float64] = summed.arrays["histograms"]
        return found

    def _facts(self, since: int) -> dict[str, Any]:
        return {
            "trees": len(self.trees),
            "since": since,
            "base": self.base,
            "grids": self.grids,
        }

    def _arrays(
        self, grown: list[Tree], since: int, active: npt.NDArray[np.int64]
    ) -> dict[str, npt.NDArray[Any]]:
        start = np.cumsum([0, *(len(own) for own in self.cuts)])
        arrays = {"cuts": np.concatenate(self.cuts), "cut_start": start, "active": active}
        for head, trees in (("done_", self.trees[since:]), ("grown_", grown)):
            arrays |= {head + name: value for name, value in Forest.of(trees).arrays.items()}
        return arrays

    def grow(self) -> None:
        """Grow one tree for each score."""
        trees = [Tree(group) for group in range(self.objective.groups)]
        offsets = bin_offsets(self.cuts)
        active = [(tree, 0) for tree in range(len(trees))]
        for _ in range(self.growth.max_depth):
            if not active:
                break
            first = np.cumsum([0, *map(len, trees)])
            numbers = np.array([first[tree] + node for tree, node in active], np.int64)
            sums = self.ask(trees, numbers)
            after = []
            begin = offsets[0], offsets[1]
            for (number, node), split, own in zip(
                active, best_splits(sums, offsets, self.growth), sums, strict=True
            ):
                tree = trees[number]
                total = own[:, begin[0] : begin[1]].sum(axis=1).tolist()
                tree.hessian[node] = total[1]
                tree.value[node] = self.growth.value(*total)
                if split is None:
                    continue
                children = tree.split(
                    node,
                    split.feature,
                    split.cut,
                    missing_left=split.missing_left,
                    gain=split.gain,
                )
                for child, part in zip(children, (split.left, split.right), strict=True):
                    tree.value[child], tree.hessian[child] = self.growth.value(*part), part[1]
                    after.append((number, child))
            active = after
        self.trees.extend(trees)
