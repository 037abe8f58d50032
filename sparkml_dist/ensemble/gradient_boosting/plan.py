"""What decides a gradient boosting, and where its parts lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.dataset.subsets import Validation
from sparkml_dist.ensemble.bank import MemberBank
from sparkml_dist.ensemble.fitting import member_traits
from sparkml_dist.ensemble.gradient_boosting.loss import Array, Loss
from sparkml_dist.ensemble.gradient_boosting.scorer import load_stage
from sparkml_dist.ensemble.known_learner import KnownLearner
from sparkml_dist.ensemble.learner import Traits
from sparkml_dist.ensemble.stored_member import StoredMember
from sparkml_dist.persistence.filesystem import Folder

__all__ = ["STAGES", "STATE", "GradientPlan", "LineSearch"]

LineSearch = Literal["leaf", "row", "stage", "none"]
STAGES = "stages"
STATE = "state"


@dataclass(frozen=True)
class GradientPlan:
    """Everything that decides the stages; travels to the tasks.

    Attributes
    ----------
    data : PartitionedDataset
    folder : Folder
        The model's.
    learner : KnownLearner
    loss : Loss
    learning_rate : float
    line_search : {"leaf", "row", "stage", "none"}
        What has a step of its own: each leaf of a tree; each row, which learners are then fitted
        to; each stage, one for every output; or nothing, all steps being 1.
    width : int
        Shards of a stage.
    max_samples : float or int
        Share of a shard's rows that learners see, or their number.
    without : Validation or None
        Rows that they never see.
    seed : int
    trusted : tuple of str
        Types that member files may contain beside the allow-list.
    cores : int
        Cores of a task.
    initial : tuple of float, length n_outputs
        Scores that every row begins with.
    unit : float
        Unit of steps, see `Loss.start`.
    """

    data: PartitionedDataset
    folder: Folder
    learner: KnownLearner
    loss: Loss
    learning_rate: float
    line_search: LineSearch
    width: int
    max_samples: float | int
    without: Validation | None
    seed: int
    trusted: tuple[str, ...]
    cores: int
    initial: tuple[float, ...] = ()
    unit: float = 1.0

    @property
    def traits(self) -> Traits:
        """What the learner can do."""
        return self.learner.traits

    def shards_of(self, stage: int) -> tuple[int, ...]:
        """Return the shards that a stage learns from: they take turns."""
        n = len(self.data.shards)
        return tuple(sorted((stage * self.width + j) % n for j in range(self.width)))

    def member(self, stage: int, position: int) -> int:
        """Return the number of the member that a stage fits on its shard at a position."""
        return stage * self.width + position

    def settle(
        self,
        stage: int,
        members: Sequence[dict[str, Any]],
        searches: Sequence[list[list[float]]],
    ) -> dict[str, Any]:
        """Commit how far a stage goes; from then on it can be applied to any rows.

        Parameters
        ----------
        stage : int
        members : sequence of dict
            Records of what it fitted, in the order of its shards.
        searches : sequence
            What the line search found on each shard; not used where every step is 1.
        """
        steps = np.ones(self.loss.n_outputs)
        if self.line_search == "stage":
            steps = self.loss.step(searches, self.unit)
        record = {
            "stage": stage,
            "steps": steps.tolist(),
            "members": [{"file": m["file"], "sha256": m["sha256"]} for m in members],
        }
        self.folder.child(STAGES).write_json(self._file(stage), record)
        return record

    def settled(self, stage: int) -> dict[str, Any]:
        """Return what `settle` committed."""
        record: dict[str, Any] = self.folder.child(STAGES).read_json(self._file(stage))
        return record

    def direction(self, members: Sequence[dict[str, Any]], X: Any) -> Array:
        """Return where a stage's members point, on rows X, shape (n, n_outputs)."""
        traits = member_traits(self.traits, None)
        bank = MemberBank(
            self.folder,
            tuple(StoredMember.from_record(m | traits) for m in members),
            0,
            tuple(self.data.feature_names),
            self.trusted,
            categories=tuple(self.data.schema.category_counts()),
        )
        return next(load_stage(bank, len(members))(X))

    def _file(self, stage: int) -> str:
        return f"stage-{stage:05d}.json"
