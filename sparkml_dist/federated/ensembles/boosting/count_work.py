"""Counts of rows in ranges of each feature, by which silos agree on cut points."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from sparkml_dist.federated.ensembles.blocks import dense
from sparkml_dist.federated.ensembles.boosting.buckets import Buckets
from sparkml_dist.federated.ensembles.boosting.ordered_floats import key_of
from sparkml_dist.federated.work import Answer, Declaration, SiloWork

if TYPE_CHECKING:
    from sparkml_dist.federated.federation import Federation
    from sparkml_dist.federated.message import Message
    from sparkml_dist.federated.schema import FederatedSchema
    from sparkml_dist.federated.silo import Silo

__all__ = ["BucketCountsWork", "agreed_cuts"]

KIND = "bucket_counts"
# More would not change cuts: buckets are then single numbers, or hold few rows.
_MOST_ROUNDS = 7


class BucketCountsWork(SiloWork):
    """Counts the rows in ranges of the features' values.

    The request has ``edges``, the sorted keys of all features one after the other, and ``start``,
    the place of each feature's first edge. The answer's ``counts`` has one number less for each
    feature than it has edges.
    """

    kind: ClassVar[str] = KIND
    summable: ClassVar[bool] = True

    def declare(self, request: Message, schema: FederatedSchema) -> Declaration:
        """Return the shape of the counts."""
        size = len(request.arrays["edges"]) - schema.n_features
        return Declaration({"counts": ("f8", (size,))})

    def answer(self, silo: Silo, request: Message) -> Answer:
        """Count the rows of the silo."""
        edges, start = request.arrays["edges"], request.arrays["start"]
        if len(start) != silo.schema.n_features + 1:
            raise ValueError("the edges are not those of the agreed features")
        own = [edges[a:b] for a, b in pairwise(start)]
        counts = [np.zeros(len(e) - 1) for e in own]
        for block in silo.blocks():
            X = dense(block.X)
            for feature, places in enumerate(own):
                values = X[:, feature]
                keys = key_of(values[~np.isnan(values)])
                at = np.searchsorted(places, keys, side="right") - 1
                counts[feature] += np.bincount(at, minlength=len(places) - 1)
        return Answer(arrays={"counts": np.concatenate(counts)})


def agreed_cuts(
    federation: Federation, bins: int, *, minimum: int = 1, secure: Any = None
) -> list[npt.NDArray[np.float32]]:
    """Return the cut points of each feature: quantiles of all silos' rows, by sums of counts.

    They depend on the rows alone, and not on the silos that hold them. The silos count rows in a
    few hundred ranges; those with many rows are divided, and counted again.

    Parameters
    ----------
    federation : Federation
    bins : int
        Most bins of a feature.
    minimum : int, default=1
        Silos that must answer.
    secure : SecureSum, optional

    Returns
    -------
    list of ndarray of float32, length n_features
    """
    found = [Buckets.start() for _ in range(federation.schema.n_features)]
    for _ in range(_MOST_ROUNDS):
        start = np.cumsum([0, *(len(b.edges) for b in found)])
        summed = federation.sum(
            KIND,
            arrays={"edges": np.concatenate([b.edges for b in found]), "start": start},
            minimum=minimum,
            secure=secure,
            ranges={"counts": 1e9},
        )
        counts, at = summed.arrays["counts"], 0
        for feature, buckets in enumerate(found):
            size = len(buckets.edges) - 1
            found[feature] = buckets.counted(counts[at : at + size])
            at += size
        if not any(b.heavy(bins).any() for b in found):
            break
        found = [b.refined(bins) if b.heavy(bins).any() else b for b in found]
    return [b.cuts(bins) for b in found]
