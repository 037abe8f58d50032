"""Everything that determines a gradient boosting fit, and where its parts are stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.dataset.subsets import Validation
from sparkml_dist.ensemble.gradient_boosting.loss import Array, Loss
from sparkml_dist.ensemble.gradient_boosting.scorer import load_stage
from sparkml_dist.learners.fitting import member_traits
from sparkml_dist.learners.known_learner import KnownLearner
from sparkml_dist.learners.learner import Traits
from sparkml_dist.members.bank import MemberBank
from sparkml_dist.members.stored_member import StoredMember
from sparkml_dist.persistence.filesystem import Folder

__all__ = ["STAGES", "STATE", "GradientPlan", "LineSearch"]

LineSearch = Literal["leaf", "row", "stage", "none"]
STAGES = "stages"
STATE = "state"


@dataclass(frozen=True)
class GradientPlan:
    """Everything that determines the stages; sent to the tasks.

    Attributes
    ----------
    data : PartitionedDataset
    folder : Folder
        The model's.
    learner : KnownLearner
    loss : Loss
    learning_rate : float
    line_search : {"leaf", "row", "stage", "none"}
        What gets a step length of its own: each leaf of a tree; each row, to whose step the
        learners are fitted; each output of a stage; or nothing, so that all steps are 1.
    width : int
        Number of shards per stage.
    max_samples : float or int
        Rows of a shard that learners get, as a share or a number.
    without : Validation or None
        Rows held out from them.
    seed : int
    trusted : tuple of str
        Types that member files may contain in addition to the allow-list.
    cores : int
        Number of cores of a task.
    initial : tuple of float, length n_outputs
        Initial scores of every row.
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
        """The properties of the learner."""
        return self.learner.traits

    def shards_of(self, stage: int) -> tuple[int, ...]:
        """Return the shards that a stage learns from; the shards take turns."""
        n = len(self.data.shards)
        return tuple(sorted((stage * self.width + j) % n for j in range(self.width)))

    def member(self, stage: int, position: int) -> int:
        """Return the number of the member that a stage fits on the shard at a position."""
        return stage * self.width + position

    def settle(
        self,
        stage: int,
        members: Sequence[dict[str, Any]],
        searches: Sequence[list[list[float]]],
    ) -> dict[str, Any]:
        """Commit the step lengths of a stage; after that it can be applied to any rows.

        Parameters
        ----------
        stage : int
        members : sequence of dict
            Records of the stage's members, in the order of its shards.
        searches : sequence
            Results of the line search on each shard; ignored if every step is 1.
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
        """Return the record that `settle` committed."""
        record: dict[str, Any] = self.folder.child(STAGES).read_json(self._file(stage))
        return record

    def direction(self, members: Sequence[dict[str, Any]], X: Any) -> Array:
        """Return the direction of a stage's members for rows X, shape (n, n_outputs)."""
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
