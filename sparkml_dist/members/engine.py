"""Fits independent members in Spark tasks, skips those already committed, reports failures."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sparkml_dist.cluster.packed_items import PackedItems
from sparkml_dist.cluster.tasks import TaskOutcome, run_tasks
from sparkml_dist.cluster.workers import check_workers
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.errors import TrainingError
from sparkml_dist.learners.fitting import MEMBERS, RECORD, committed_members
from sparkml_dist.learners.known_learner import KnownLearner
from sparkml_dist.learners.learner import modules_of
from sparkml_dist.members.bank import MemberBank
from sparkml_dist.members.member import MemberFit, MemberPlan
from sparkml_dist.members.stored_member import StoredMember
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.model_folder import ModelFile
from sparkml_dist.session import SessionInfo

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["Engine", "member_files", "raise_failures"]

_logger = logging.getLogger(__name__)


@dataclass
class Engine:
    """Fits members of one ensemble, in one or several calls.

    Attributes
    ----------
    spark : pyspark.sql.SparkSession
    data : PartitionedDataset
    folder : Folder
        The model's folder.
    learners : sequence of KnownLearner
    plans : sequence of MemberPlan
        Of all possible members; ``plans[i].index`` is i.
    seed : int
    trusted : sequence of str
        Types that member files may contain in addition to the allow-list.
    fitted : int
        How many members were fitted, rather than found committed.
    """

    spark: SparkSession
    data: PartitionedDataset
    folder: Folder
    learners: Sequence[KnownLearner]
    plans: Sequence[MemberPlan]
    seed: int
    trusted: Sequence[str] = ()
    fitted: int = 0
    _done: dict[int, dict[str, Any]] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_workers(self.spark, sorted({m for x in self.learners for m in modules_of(x.learner)}))

    def fit(self, indices: Sequence[int] | None = None) -> list[dict[str, Any]]:
        """Fit those members of `indices` that are not committed, and return the records of all.

        Parameters
        ----------
        indices : sequence of int, optional
            Indices of the plans; all by default.

        Returns
        -------
        list of dict
            In the order of `indices`.

        Raises
        ------
        TrainingError
            ``member_failed`` if some failed; the others are committed.
        """
        wanted = list(range(len(self.plans)) if indices is None else indices)
        if self._done is None:  # read once, and not for every wave of members
            self._done = committed_members(self.folder)
        done = self._done
        missing = [i for i in wanted if i not in done]
        if kept := len(wanted) - len(missing):
            _logger.info("%d of %d members are committed already", kept, len(wanted))
        task = MemberFit(
            self.data,
            self.folder,
            tuple(self.learners),
            PackedItems(self.plans),
            self.seed,
            tuple(self.trusted),
            SessionInfo.of(self.spark).task_cpus,
        )
        home, before = self.folder.child(MEMBERS), len(done)
        outcomes = run_tasks(
            self.spark,
            missing,
            task,
            description=f"fit {len(missing)} members",
            count=lambda: len(home.names(".json")) - before,
        )
        self.fitted += len(missing)
        done.update((o.index, o.result) for o in outcomes if o.error is None)
        raise_failures(outcomes, self.plans)
        return [done[i] for i in wanted]

    def bank(self, records: Sequence[dict[str, Any]], weight: float = 1.0) -> MemberBank:
        """Return members of equal weight, for scoring while the fit goes on."""
        return MemberBank(
            self.folder,
            tuple(StoredMember.from_record(r, weight) for r in records),
            len(self.data.manifest.label.classes),
            tuple(self.data.feature_names),
            tuple(self.trusted),
            categories=tuple(self.data.schema.category_counts()),
        )


def member_files(folder: Folder, records: Sequence[dict[str, Any]]) -> list[ModelFile]:
    """Return the members' files for a model's manifest: learners and records."""
    files = [ModelFile(r["file"], r["bytes"], r["sha256"]) for r in records]
    return files + [
        ModelFile(**r[RECORD])
        if RECORD in r
        else ModelFile.of(folder, r["file"].removesuffix(".skops") + ".json")
        for r in records
    ]


def raise_failures(outcomes: Sequence[TaskOutcome], plans: Sequence[MemberPlan]) -> None:
    """Raise if tasks failed, naming the members, their shards and the first cause.

    Parameters
    ----------
    outcomes : sequence of TaskOutcome
    plans : sequence of MemberPlan
        Of all members; ``outcome.index`` is the position.

    Raises
    ------
    SparkMLDistError
        ``member_failed`` (a `TrainingError`), or the first failure's own code and class.
    """
    failed = [o for o in outcomes if o.error is not None]
    if not failed:
        return
    first = failed[0]
    assert first.error is not None
    shards = ", ".join(str(s) for s in plans[first.index].shards)
    message = (
        f"{len(failed)} of {len(outcomes)} members failed; member {first.index} on shard "
        f"{shards}: {first.error.message}"
    )
    if barren := _barren_shards(outcomes, plans):
        message += f" No member succeeded on shard(s) {', '.join(map(str, barren))}."
    _logger.error("%s\n%s", message, getattr(first.error, "trace", ""))
    if first.error.code != "task_failed":
        raise type(first.error)(first.error.code, message, first.error.hint)
    raise TrainingError(
        "member_failed",
        message,
        first.error.hint
        or "The other members are committed: with modelDir and resume=True only these are fitted.",
    )


def _barren_shards(outcomes: Sequence[TaskOutcome], plans: Sequence[MemberPlan]) -> list[int]:
    """Return shards on which every member failed, if members on other shards succeeded."""
    good: set[int] = set()
    bad: dict[int, int] = {}
    for outcome in outcomes:
        for shard in plans[outcome.index].shards:
            if outcome.error is None:
                good.add(shard)
            else:
                bad[shard] = bad.get(shard, 0) + 1
    return sorted(s for s in bad if s not in good) if good else []
