"""What silos send for k-means: centres of their own clusters, and sums around given centres."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from sparkml_dist.federated.answer import Answer, Declaration
from sparkml_dist.federated.ensembles.blocks import without_missing
from sparkml_dist.federated.work import SiloWork
from sparkml_dist.mining.clusters.nearest_center import nearest_centers

if TYPE_CHECKING:
    from sparkml_dist.federated.message import Message
    from sparkml_dist.federated.schema import FederatedSchema
    from sparkml_dist.federated.silo import Silo

__all__ = ["CenterCandidatesWork", "CenterSumsWork"]


class CenterCandidatesWork(SiloWork):
    """Clusters a part of the silo's rows, and sends the centres and the number of their rows.

    The request's facts are ``k``, ``sample_rows`` and ``least_rows``. A cluster of fewer rows is
    not sent: its centre would almost be a row.
    """

    kind: ClassVar[str] = "center_candidates"

    def declare(self, request: Message, schema: FederatedSchema) -> Declaration:
        """Return the shape of the centres."""
        k = int(request.facts["k"])
        return Declaration({"centers": ("f8", (k, schema.n_features)), "sizes": ("f8", (k,))})

    def answer(self, silo: Silo, request: Message) -> Answer:
        """Cluster the silo's rows."""
        from sklearn.cluster import KMeans

        rng = silo.rng(request)
        facts = request.facts
        k, share = int(facts["k"]), int(facts["sample_rows"]) / max(silo.n_rows, 1)
        kept = []
        for block in silo.blocks():
            X = without_missing(block.X, "k-means")
            kept.append(X if share >= 1 else X[rng.random(len(X)) < share])
        points = np.concatenate([np.empty((0, silo.schema.n_features)), *kept])
        least = max(1, int(facts["least_rows"]))
        k = min(k, len(np.unique(points, axis=0)), len(points) // least)
        if k < 1:
            empty = np.empty((0, silo.schema.n_features))
            return Answer(arrays={"centers": empty, "sizes": np.empty(0)})
        found = KMeans(k, n_init=1, random_state=int(rng.integers(2**31 - 1))).fit(points)
        sizes = np.bincount(found.labels_, minlength=k).astype(np.float64)
        told = sizes >= least
        return Answer(
            arrays={
                "centers": found.cluster_centers_[told].astype(np.float64),
                "sizes": sizes[told] * silo.n_rows / len(points),
            }
        )


class CenterSumsWork(SiloWork):
    """Adds up the rows that are nearest to each of the request's ``centers``.

    The answer has ``sizes`` (k,), ``sums`` (k, n_features) of their differences from the
    centre, and ``cost`` (1,), the summed squared distances from the nearest centre.
    """

    kind: ClassVar[str] = "center_sums"
    summable: ClassVar[bool] = True

    def declare(self, request: Message, schema: FederatedSchema) -> Declaration:
        """Return the shape of the sums."""
        k = len(request.arrays["centers"])
        return Declaration(
            {"sizes": ("f8", (k,)), "sums": ("f8", (k, schema.n_features)), "cost": ("f8", (1,))}
        )

    def answer(self, silo: Silo, request: Message) -> Answer:
        """Add up the silo's rows."""
        centers = request.arrays["centers"]
        k, width = len(centers), silo.schema.n_features
        if centers.shape != (k, width):
            raise ValueError("the centres have another number of features")
        sizes, sums, cost = np.zeros(k), np.zeros((k, width)), 0.0
        for block in silo.blocks():
            X = without_missing(block.X, "k-means")
            nearest, away = nearest_centers(X, centers, "euclidean")
            sizes += np.bincount(nearest, minlength=k)
            np.add.at(sums, nearest, X - centers[nearest])
            cost += float(away @ away)
        return Answer(arrays={"sizes": sizes, "sums": sums, "cost": np.array([cost])})
