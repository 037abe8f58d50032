"""Runs pieces of trials in a task: each fit in a child with limits, each result committed."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.cluster.watched_child import Ending, Limits, run_watched
from sparkml_dist.learners.fitting import MEMBERS
from sparkml_dist.metrics.scores import score_rows
from sparkml_dist.models.scoring import drop_loaded
from sparkml_dist.persistence.arrays import read_array, write_array
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.search.trial_fit import FittedMember, MemberInput, fit_member
from sparkml_dist.search.trial_piece import TrialPiece
from sparkml_dist.search.trial_record import new_record
from sparkml_dist.search.trial_rows import TrialRows

__all__ = ["TrialTask", "member_stem"]

TRIALS = "trials"
VOTES = "votes"


def member_stem(trial: int, member: int) -> str:
    """Return the name of the files of a trial's member, without suffix."""
    return f"trial-{trial:05d}-member-{member:05d}"


@dataclass(frozen=True)
class TrialTask:
    """Fits and scores pieces of trials; called in a task with the number of a batch.

    Attributes
    ----------
    rows : TrialRows
    folder : Folder
        Of the search.
    batches : tuple of tuple of TrialPiece
    metrics : tuple of str
    shards : tuple of int, or None
        Shards that every member learns from; None where member m learns from shard m.
    seed, cores : int
    trusted : tuple of str
    keeps_votes : bool
        Whether votes are kept, for later rungs or a selection.
    limits : Limits
        Of each fit, and of a batch.
    """

    rows: TrialRows
    folder: Folder
    batches: tuple[tuple[TrialPiece, ...], ...]
    metrics: tuple[str, ...]
    shards: tuple[int, ...] | None
    seed: int
    cores: int
    trusted: tuple[str, ...]
    keeps_votes: bool
    limits: Limits = field(default_factory=Limits)

    def __call__(self, batch: int) -> dict[str, Any]:
        """Fit, score and commit the pieces of a batch; return their records."""
        drop_loaded()
        begun = time.monotonic()
        works = [_Work(self, piece) for piece in self.batches[batch]]
        for units in self._groups([(w, m) for w in works for m in w.piece.members]):
            left = self.limits.total_seconds
            if left is not None:
                left = max(0.0, left - (time.monotonic() - begun))
            limits = Limits(self.limits.seconds, left, self.limits.memory)
            inputs = [self._input(w.piece, m) for w, m in units]

            def fit(i: int, units: Any = units, inputs: Any = inputs) -> FittedMember | None:
                work, member = units[i]
                if work.failed:
                    return None
                try:
                    return fit_member(work.piece, member, inputs[i])
                except BaseException:
                    work.failed = True  # in the child: its other members are not fitted either
                    raise

            def take(i: int, ending: Ending, units: Any = units) -> None:
                units[i][0].take(units[i][1], ending)

            run_watched(fit, len(units), limits, take)
        return {"records": [work.record for work in works]}

    def _groups(self, units: Sequence[tuple[_Work, int]]) -> Iterator[list[tuple[_Work, int]]]:
        """Yield units whose shards fit in memory together."""
        group: list[tuple[_Work, int]] = []
        held: dict[Any, int] = {}
        for work, member in units:
            shards, dtype = self.shards_of(member), work.piece.learner.traits.dtype
            wide = 2 if dtype == "float64" else 1
            size = wide * sum(self.rows.data.shards[s].block_bytes for s in shards)
            if group and sum({**held, (shards, dtype): size}.values()) > self.rows.memory:
                yield group
                group, held = [], {}
            group.append((work, member))
            held[shards, dtype] = size
        if group:
            yield group

    def shards_of(self, member: int) -> tuple[int, ...]:
        """Return the shards that a member learns from."""
        return (member % len(self.rows.data.shards),) if self.shards is None else self.shards

    def _input(self, piece: TrialPiece, member: int) -> MemberInput:
        data, parts = self.rows.data, range(len(self.rows.held_out.parts))
        shards, dtype = self.shards_of(member), piece.learner.traits.dtype
        return MemberInput(
            [self.rows.training(shards, part, dtype) for part in parts],
            [self.rows.without(part) for part in parts],
            self.rows.scored(),
            len(data.manifest.label.classes),
            tuple(data.feature_names),
            tuple(data.schema.category_counts()),
            self.seed,
            self.cores,
            self.trusted,
            [self.folder.read_bytes(name) for name in piece.previous],
        )


class _Work:
    """A piece while its members are fitted, in the task's own process."""

    def __init__(self, task: TrialTask, piece: TrialPiece) -> None:
        self.task, self.piece = task, piece
        self.failed = False
        self.record = new_record(piece.trial, piece.rung, piece.resource, **piece.spent)
        self._votes: dict[int, list[npt.NDArray[np.float64]]] = {}
        self._left = set(piece.members)
        self.record["members"] = list(self.record["members"])
        self.record["fits"] = max(1, len(piece.members) or int(self.record["fits"]))
        if not self._left:
            self._end()

    def take(self, member: int, ending: Ending) -> None:
        """Take the end of one member's fit."""
        if self.failed and self.record["state"] != "done":
            return
        peak = round(ending.peak / 2**20, 1)
        self.record["peak_rss_mb"] = max(self.record["peak_rss_mb"], peak)
        if ending.reason != "done":
            self.failed = True
            self._fail(ending.reason, ending.message, ending.trace)
            return
        if ending.value is None:
            return
        fitted: FittedMember = ending.value
        record = self.record
        record["seconds"] += fitted.seconds
        record["predict_seconds"] += fitted.predict_seconds
        record["bytes"] += fitted.bytes
        record["rows"] += fitted.rows
        record["warnings"] = list(dict.fromkeys([*record["warnings"], *fitted.warnings]))[:3]
        self._votes[member] = fitted.votes
        if self.task.keeps_votes:
            name = f"{member_stem(self.piece.trial, member)}.npy"
            write_array(self.task.folder.child(VOTES), name, np.concatenate(fitted.votes))
        for part, content in enumerate(fitted.files):
            record["members"].append(self._stored(member, part, content, fitted))
        self._left.discard(member)
        if not self._left:
            self._end()

    def _stored(
        self, member: int, part: int, content: bytes, fitted: FittedMember
    ) -> dict[str, Any]:
        # A rung that replaces a member must not touch the file that it goes on from.
        rung = self.piece.rung
        name = f"{member_stem(self.piece.trial, member)}-rung-{rung:02d}-{part}.skops"
        self.task.folder.child(MEMBERS).write_bytes(name, content)
        return {
            "member": member,
            "part": part,
            "file": f"{MEMBERS}/{name}",
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            **fitted.traits,
        }

    def _end(self) -> None:
        try:
            if self.piece.scores:
                self._score()
        except Exception as error:  # noqa: BLE001 - such as outputs that are not numbers
            self._fail("failed", f"{type(error).__name__}: {error}", "")
            return
        self.task.folder.child(TRIALS).write_json(f"{self.piece.stem}.json", self.record)

    def _fail(self, reason: str, message: str, trace: str) -> None:
        self.record |= {"state": reason, "reason": message, "trace": trace}
        if reason != "deadline":  # a search that goes on has more time
            self.task.folder.child(TRIALS).write_json(f"{self.piece.stem}.json", self.record)

    def _score(self) -> None:
        scored = self.task.rows.scored()
        bounds = np.cumsum([0, *(len(b) for b in scored)])
        for member in self.piece.earlier:
            name = f"{member_stem(self.piece.trial, member)}.npy"
            stored = read_array(self.task.folder.child(VOTES), name, rows=int(bounds[-1]))
            self._votes[member] = np.split(np.asarray(stored, np.float64), bounds[1:-1])
        members = len(self._votes)
        # In the members' order, so that the sum does not depend on which task fitted which.
        ordered = [self._votes[m] for m in sorted(self._votes)]
        sums = [np.sum(part, axis=0) for part in zip(*ordered, strict=True)]
        mean = self.piece.voting == "mean"
        for metric in self.task.metrics:
            found = []
            for block, votes in zip(scored, sums, strict=True):
                # A regression is scored by its mean; scores of votes do not depend on their scale.
                shown = votes / members if mean else votes
                found.append(score_rows(metric, block.y, shown, block.weight))
            self.record["part_scores"][metric] = found
            self.record["scores"][metric] = float(np.mean(found))
        self.record["scored_rows"] = int(bounds[-1])
