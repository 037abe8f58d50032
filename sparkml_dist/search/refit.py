"""Fits the best trial's learner on all rows of all shards."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.learners.known_learner import KnownLearner
from sparkml_dist.members.engine import Engine, member_files
from sparkml_dist.members.ensemble_model import voting_content
from sparkml_dist.members.member import MemberPlan
from sparkml_dist.members.sampling import Sampling
from sparkml_dist.members.voting_model import VotingClassificationModel, VotingRegressionModel
from sparkml_dist.models.shard_model import ShardModel
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.model_folder import MANIFEST, ModelFile, SavedManifest
from sparkml_dist.persistence.saved_folder import METADATA, SavedFolder

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["refit_learner", "refit_seconds", "saved_files", "voting_model"]

# Of the jobs that a refit takes besides its fits.
_OVERHEAD_SECONDS = 1.0
# Fits differ in time from each other, and a refit ends with the slowest.
_SLACK = 1.3


def refit_learner(
    spark: SparkSession,
    data: PartitionedDataset,
    folder: Folder,
    learner: KnownLearner,
    voting: str,
    seed: int,
    trusted: Sequence[str],
) -> ShardModel:
    """Fit a learner to each shard; return the model of these members, saved in a folder."""
    plans = [MemberPlan(i, 0, (i,), Sampling("pasting", 1.0, 1.0)) for i in range(len(data.shards))]
    records = Engine(spark, data, folder, [learner], plans, seed, trusted).fit()
    return voting_model(data, folder, records, [1.0] * len(records), voting, trusted)


def voting_model(
    data: PartitionedDataset,
    folder: Folder,
    records: list[dict[str, Any]],
    weights: list[float],
    voting: str,
    trusted: Sequence[str],
) -> ShardModel:
    """Return the model of committed members that vote, saved in their folder."""
    label = data.manifest.label
    kind = VotingRegressionModel if label.is_regression else VotingClassificationModel
    model = kind(
        folder,
        data.schema,
        label,
        member_files(folder, records),
        voting_content(records, weights, voting),
        {"seconds": {"member_fit": round(sum(r.get("seconds", 0.0) for r in records), 3)}},
    )
    model.trusted = tuple(trusted)
    model._save_manifest(SavedFolder(folder))
    return model


def saved_files(folder: Folder, name: str) -> list[ModelFile]:
    """Return the files of a model that was fitted in a folder inside that of another model."""
    home = folder.child(name)
    manifest = SavedManifest.read(home)
    spark = [n for n in home.walk() if n.partition("/")[0] == METADATA]
    return [ModelFile.of(folder, f"{name}/{n}") for n in (MANIFEST, *manifest.names(), *spark)]


def refit_seconds(
    record: dict[str, Any] | None, members: int, parts: int, shards: int, slots: int, share: float
) -> float:
    """Return how long the refit of a trial will take, by what its fits have taken.

    Parameters
    ----------
    record : dict or None
        Of the trial; None if there is none.
    members : int
        How many members it fitted in that rung.
    parts : int
        How often each was fitted.
    shards : int
        Members of the refit.
    slots : int
        Tasks that run at a time.
    share : float
        Share of the rows that the members learnt from.
    """
    if record is None:
        return _OVERHEAD_SECONDS
    each = record["seconds"] / max(1, members * parts) / max(share, 0.1)
    return _OVERHEAD_SECONDS + _SLACK * each * math.ceil(shards / slots)
