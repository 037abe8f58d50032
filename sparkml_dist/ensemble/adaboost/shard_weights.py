"""The exact weights of a shard's rows, stored in files beside the model during boosting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.dataset.block import Block
from sparkml_dist.ensemble.adaboost.job import BoostingJob
from sparkml_dist.ensemble.adaboost.samme import boosted, normalised, samme_probabilities
from sparkml_dist.ensemble.adaboost.weighted_sample import Candidates
from sparkml_dist.members.weighted_rows import as_learner_takes
from sparkml_dist.metrics.scores import score_rows
from sparkml_dist.persistence.arrays import read_array, write_array
from sparkml_dist.persistence.filesystem import Folder

__all__ = ["STATE", "ShardPass", "state_folder"]

STATE = "state"
_ROW = np.dtype([("weight", "f8"), ("code", "i4")])


def state_folder(folder: Folder, version: int) -> Folder:
    """Return the folder of the state after a pass, inside a model's folder."""
    return folder.child(f"{STATE}/{version:05d}")


def shard_stem(shard: int) -> str:
    """Return the beginning of the names of a shard's files."""
    return f"shard-{shard:05d}"


@dataclass(frozen=True)
class ShardPass:
    """Pass v over shards: weights the rows for round v - 1 and predicts them with its member.

    Pass 0 has no member: its weights are the data's own. A pass starts from the state that the
    previous one stored; if that is missing, it recomputes the state from the members and their
    weights, with identical numbers.

    Attributes
    ----------
    job : BoostingJob
    version : int
        v.
    grown : tuple of (float, float), length v
        For each earlier pass: the weight of its member in the vote (0 for none), and the total
        weight of the rows after those that it misclassifies have grown.
    members : tuple of dict
        Records of the members of passes 1, 2, …; a pass that only scores omits its own.
    sizes : tuple of int
        Rows of each shard in the sample for the next round; 0 for no sample.
    """

    job: BoostingJob
    version: int
    grown: tuple[tuple[float, float], ...]
    members: tuple[dict[str, Any], ...]
    sizes: tuple[int, ...]

    def __call__(self, shard: int) -> dict[str, Any]:
        """Process one shard; return sums.

        Returns
        -------
        dict
            ``right`` and ``missed`` (weight of the rows that the member classifies correctly and
            incorrectly); ``held_out`` (weight of the held-out rows) and ``score`` (of the earlier
            members on the held-out rows, times ``held_out``).
        """
        job, home, stem = self.job, state_folder(self.job.folder, self.version), shard_stem(shard)
        if home.exists(f"{stem}.json"):
            found: dict[str, Any] = home.read_json(f"{stem}.json")
            return found
        block = job.data.read_block(shard)
        learns = job.learns(block.key)
        state = self._state(shard, block, learns)
        write_array(home, f"{stem}.npy", state.rows)
        if job.stopping is not None:
            write_array(home, f"{stem}-votes.npy", state.votes)
        missed = state.missed(block, learns)
        weight = state.rows["weight"]
        if self.sizes[shard]:
            candidates = Candidates.of(
                block, weight, missed, self.sizes[shard], job.seed, self.version
            )
            candidates.write(home, stem)
        result: dict[str, Any] = {
            "right": float(weight[~missed].sum()),
            "missed": float(weight[missed].sum()),
        }
        result |= self._score(block, ~learns, state)
        home.write_json(f"{stem}.json", result)
        return result

    def _state(self, shard: int, block: Block, learns: npt.NDArray[np.bool_]) -> _State:
        """Return the state after this pass, computed from the newest stored one."""
        job, stem = self.job, shard_stem(shard)
        version, state = 0, _State.first(block, learns, job.n_classes)
        home = state_folder(job.folder, self.version - 1)
        if self.version and home.exists(f"{stem}.json"):
            version = self.version - 1
            votes = state.votes
            if job.stopping is not None:
                votes = read_array(home, f"{stem}-votes.npy", rows=len(votes))
            state = _State(read_array(home, f"{stem}.npy", rows=len(block)), votes)
        X = as_learner_takes(block.X, job.traits)
        for v in range(version + 1, self.version + 1):
            vote_weight, total = self.grown[v - 1]
            codes = None
            if v <= len(self.members):
                member = job.load_member(self.members[v - 1])
                codes = job.predict(member, v - 1, [shard], X)
            state = state.after(block, learns, vote_weight, total, codes)
        return state

    def _score(self, block: Block, held: npt.NDArray[np.bool_], state: _State) -> dict[str, float]:
        none = {"score": 0.0, "held_out": 0.0}
        if self.job.stopping is None or self.version < 2 or not held.any():
            return none
        weight = np.ones(len(block)) if block.weight is None else block.weight
        proba = samme_probabilities(state.votes)
        score = score_rows(self.job.stopping.metric, block.y[held], proba, weight[held])
        total = float(weight[held].sum(dtype=np.float64))
        return none if np.isnan(score) else {"score": score * total, "held_out": total}


@dataclass(frozen=True)
class _State:
    """Each row's weight in a round, and the prediction of the round's member (-1 for none).

    For held-out rows also the votes of the earlier members.
    """

    rows: npt.NDArray[Any]
    votes: npt.NDArray[np.float64]

    @classmethod
    def first(cls, block: Block, learns: npt.NDArray[np.bool_], n_classes: int) -> _State:
        rows = np.empty(len(block), _ROW)
        rows["weight"] = np.where(learns, 1.0 if block.weight is None else block.weight, 0.0)
        rows["code"] = -1
        return cls(rows, np.zeros((int((~learns).sum()), n_classes)))

    def missed(self, block: Block, learns: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        found: npt.NDArray[np.bool_] = learns & (self.rows["code"] >= 0)
        return found & (self.rows["code"] != block.y)

    def after(
        self,
        block: Block,
        learns: npt.NDArray[np.bool_],
        vote_weight: float,
        total: float,
        codes: npt.NDArray[np.int32] | None,
    ) -> _State:
        """Return the next state, given the last member's weight and the next predictions."""
        rows = np.empty(len(block), _ROW)
        grown = boosted(self.rows["weight"], vote_weight, self.missed(block, learns))
        rows["weight"] = normalised(grown, total)
        rows["code"] = -1 if codes is None else codes
        votes = self.votes.copy()
        predicted = self.rows["code"][~learns]
        voting = np.flatnonzero(predicted >= 0)
        votes[voting, predicted[voting]] += vote_weight
        return _State(rows, votes)
