"""Sums of gradients in bins, for the nodes that trees may split next."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import TrainingError
from sparkml_dist.federated.ensembles.blocks import dense, row_weights
from sparkml_dist.federated.ensembles.boosting.forest import Forest
from sparkml_dist.federated.ensembles.boosting.gradients import Objective, on_grid
from sparkml_dist.federated.work import Answer, Declaration, SiloWork

if TYPE_CHECKING:
    from sparkml_dist.federated.message import Message
    from sparkml_dist.federated.schema import FederatedSchema
    from sparkml_dist.federated.silo import Silo

__all__ = ["GradientHistogramsWork", "LabelSumsWork", "binned"]

_DONE, _GROWN = "done_", "grown_"
_NAMES = ("feature", "cut", "left", "right", "missing_left", "value", "start", "group")


class LabelSumsWork(SiloWork):
    """Adds up the labels: weights by class, or weight, sum and squares of a target.

    The answer has ``sums``, shape (n_classes,) or (3,), and ``rows``, shape (1,).
    """

    kind: ClassVar[str] = "label_sums"
    summable: ClassVar[bool] = True

    def declare(self, request: Message, schema: FederatedSchema) -> Declaration:
        """Return the shape of the sums."""
        return Declaration({"sums": ("f8", (schema.n_classes or 3,)), "rows": ("f8", (1,))})

    def answer(self, silo: Silo, request: Message) -> Answer:
        """Add up the labels of the silo."""
        classes = silo.schema.n_classes
        sums, rows = np.zeros(classes or 3), 0
        for block in silo.blocks():
            weight = row_weights(block)
            if classes:
                sums += np.bincount(block.y, weight, minlength=classes)
            else:
                sums += [weight.sum(), weight @ block.y, weight @ block.y**2]
            rows += len(block)
        return Answer(arrays={"sums": sums, "rows": np.array([rows], np.float64)})


class GradientHistogramsWork(SiloWork):
    """Adds up gradients and hessians in bins.

    The request's facts are ``trees`` (how many are finished), ``since`` (the number of the first
    finished tree that it carries), ``base`` (the score of a row before all trees) and ``grids``
    (see `on_grid`). Its arrays are the features' cuts (``cuts``, ``cut_start``), the finished trees
    (``done_…``), those that grow (``grown_…``), and the leaves to split (``active``: numbers of
    nodes).

    The silo keeps its rows' scores. It adds the trees that it lacks when it gets finished ones.
    """

    kind: ClassVar[str] = "gradient_histograms"
    summable: ClassVar[bool] = True

    def declare(self, request: Message, schema: FederatedSchema) -> Declaration:
        """Return the shape of the histograms."""
        nodes = len(request.arrays["active"])
        bins = len(request.arrays["cuts"]) + 2 * schema.n_features
        return Declaration({"histograms": ("f8", (nodes, 2, bins)), "loss": ("f8", (2,))})

    def answer(self, silo: Silo, request: Message) -> Answer:
        """Add up the gradients of the silo's rows."""
        asked = _Asked.of(request, silo.schema)
        before = silo.state.read("boosting", before=request.round)
        if before is None:
            known, margin = 0, np.full((silo.n_rows, asked.objective.groups), asked.base)
        else:
            known, margin = int(before["trees"][0]), before["margin"]
        if known != asked.trees and not asked.since <= known < asked.since + len(asked.done):
            raise TrainingError(
                "request_refused",
                f"The silo {silo.name!r} has the scores of {known} trees, and is asked to go on "
                f"from {asked.since}.",
                "It missed a round; it is given the trees that it lacks in the next one.",
            )
        found, at = np.zeros((len(asked.active), 2, asked.bins)), 0
        loss = np.zeros(2)
        for block in silo.blocks():
            bins = binned(dense(block.X), asked.cuts)
            own = margin[at : at + len(block)]
            at += len(block)
            asked.done.add_to(own, bins, asked.missing, known - asked.since)
            asked.add(found, loss, bins, own, block.y, row_weights(block))
        if known != asked.trees:
            silo.state.write(
                "boosting", request.round, {"trees": np.array([asked.trees]), "margin": margin}
            )
        return Answer(arrays={"histograms": found, "loss": loss})


@dataclass(frozen=True)
class _Asked:
    """A request, checked."""

    objective: Objective
    base: float
    trees: int
    since: int
    grids: tuple[int, int]
    cuts: list[npt.NDArray[np.float32]]
    done: Forest
    grown: Forest
    active: npt.NDArray[Any]

    @classmethod
    def of(cls, request: Message, schema: FederatedSchema) -> _Asked:
        facts, arrays = request.facts, request.arrays
        objective = Objective(schema.n_classes)
        start = arrays["cut_start"]
        if len(start) != schema.n_features + 1 or start[-1] != len(arrays["cuts"]):
            raise ValueError("the cuts are not those of the agreed features")
        cuts = [arrays["cuts"][a:b] for a, b in pairwise(start)]
        done, grown = (
            Forest({name: arrays[head + name] for name in _NAMES}) for head in (_DONE, _GROWN)
        )
        for forest in (done, grown):
            forest.check(schema.n_features, objective.groups)
        active = arrays["active"]
        if len(active) and not 0 <= active.min() <= active.max() < len(grown.arrays["feature"]):
            raise ValueError("a node to split does not exist")
        grids = facts["grids"]
        if int(facts["since"]) + len(done) != int(facts["trees"]):
            raise ValueError("the finished trees do not match their number")
        return cls(
            objective,
            float(facts["base"]),
            int(facts["trees"]),
            int(facts["since"]),
            (int(grids[0]), int(grids[1])),
            cuts,
            done,
            grown,
            active,
        )

    @property
    def missing(self) -> int:
        """The bin of missing values in every feature of `binned`."""
        return _missing(self.cuts)

    @property
    def bins(self) -> int:
        """Numbers of a node's histogram."""
        return sum(len(own) + 2 for own in self.cuts)

    def add(
        self,
        found: npt.NDArray[np.float64],
        loss: npt.NDArray[np.float64],
        bins: npt.NDArray[Any],
        margin: npt.NDArray[np.float64],
        y: npt.NDArray[Any],
        weight: npt.NDArray[np.float64],
    ) -> None:
        """Add a block's gradients to the histograms, and its loss and weight to `loss`."""
        gradient, hessian, losses = self.objective.gradients(margin, y)
        loss += [weight @ losses, weight.sum()]
        gradient = on_grid(gradient * weight[:, None], self.grids[0])
        hessian = on_grid(hessian * weight[:, None], self.grids[1])
        place = np.full(len(self.grown.arrays["feature"]), -1)
        place[self.active] = np.arange(len(self.active))
        for tree in range(len(self.grown)):
            node = place[self.grown.leaves(tree, bins, self.missing)]
            rows = np.flatnonzero(node >= 0)
            if not len(rows):
                continue
            group, nodes, begin = int(self.grown.arrays["group"][tree]), len(found), 0
            g, h = gradient[rows, group], hessian[rows, group]
            for feature, cuts in enumerate(self.cuts):
                width = len(cuts) + 2
                bin_ = np.minimum(bins[rows, feature], width - 1)
                at = node[rows] * width + bin_
                for kind, values in enumerate((g, h)):
                    sums = np.bincount(at, values, minlength=nodes * width)
                    found[:, kind, begin : begin + width] += sums.reshape(nodes, width)
                begin += width


def _missing(cuts: list[npt.NDArray[Any]]) -> int:
    return max((len(own) for own in cuts), default=0) + 1


def binned(X: npt.NDArray[Any], cuts: list[npt.NDArray[np.float32]]) -> npt.NDArray[np.int64]:
    """Return the bin of each value: how many cuts are not above it.

    Missing values get one number more than any feature has cuts, plus one.

    Parameters
    ----------
    X : ndarray, shape (n, n_features)
        Rounded to single precision.
    cuts : list of ndarray of float32
        Sorted, of each feature.

    Returns
    -------
    ndarray of int64, shape (n, n_features)
    """
    found = np.empty(X.shape, np.int64)
    values = X.astype(np.float32)
    for feature, own in enumerate(cuts):
        found[:, feature] = np.searchsorted(own, values[:, feature], side="right")
    found[np.isnan(values)] = _missing(cuts)
    return found
