"""The members of all trials as a library, from which an ensemble is chosen greedily."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sparkml_dist.cluster.tasks import run_tasks
from sparkml_dist.learners.fitting import MEMBERS
from sparkml_dist.members.greedy import Selection, select
from sparkml_dist.members.held_out import HeldOutRows, outputs_type
from sparkml_dist.metrics.scores import score_rows
from sparkml_dist.models.shard_model import ShardModel
from sparkml_dist.persistence.arrays import read_array
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.search.refit import voting_model
from sparkml_dist.search.trial_rows import TrialRows, labels_and_weights
from sparkml_dist.search.trial_task import VOTES, member_stem

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["LibraryMember", "chosen_model", "library_of", "selection_seconds"]

_MOST_MEMBERS = 100
_INITIAL = 3
# Of one score of one row and class, measured with scikit-learn's ROC curve, which sorts.
_SCORE_SECONDS = 2e-7


@dataclass(frozen=True)
class LibraryMember:
    """A member of a trial.

    Attributes
    ----------
    trial, member : int
    records : tuple of dict
        Its stored learners: one for each held-out part.
    """

    trial: int
    member: int
    records: tuple[dict[str, Any], ...]


def library_of(
    records: dict[tuple[int, int], dict[str, Any]], ranked: Sequence[int], *, adds: bool
) -> list[LibraryMember]:
    """Return the stored members of trials, those of the best trials first.

    Parameters
    ----------
    records : dict
        By trial and rung.
    ranked : sequence of int
        Trials, the best first.
    adds : bool
        Whether a rung adds members to those of lower rungs, rather than replacing them.
    """
    found: list[LibraryMember] = []
    for trial in ranked:
        own = [records[t, r] for t, r in sorted(records) if t == trial]
        done = [r for r in own if r["state"] == "done"]
        by_member: dict[int, list[dict[str, Any]]] = {}
        for record in done if adds else done[-1:]:
            for member in record["members"]:
                by_member.setdefault(member["member"], []).append(member)
        for member, stored in sorted(by_member.items()):
            found.append(LibraryMember(trial, member, tuple(stored)))
    return found[:_MOST_MEMBERS]


def selection_seconds(rows: int, classes: int, steps: int) -> float:
    """Return about how long a selection takes."""
    return 1.0 + steps * _MOST_MEMBERS * rows * max(1, classes) * _SCORE_SECONDS


@dataclass(frozen=True)
class _Choice:
    """Chooses members in a task, by their stored votes on the held-out rows."""

    rows: TrialRows
    folder: Folder
    library: tuple[LibraryMember, ...]
    selection: Selection

    def __call__(self, _: int) -> dict[str, Any]:
        blocks = self.rows.scored()
        y, weight = labels_and_weights(blocks)
        votes = [
            read_array(
                self.folder.child(VOTES), f"{member_stem(m.trial, m.member)}.npy", rows=len(y)
            ).astype(outputs_type(self.rows.data))
            for m in self.library
        ]
        outputs = np.stack(votes, axis=1)
        counts, curves = select(HeldOutRows(outputs, y, weight), self.selection)
        together = np.average(outputs, axis=1, weights=counts).astype(np.float64)
        bounds = np.cumsum([0, *(len(b) for b in blocks)])
        # As the trials' scores: the mean over the held-out parts.
        scores = [
            score_rows(self.selection.metric, y[a:b], together[a:b], weight[a:b])
            for a, b in itertools.pairwise(bounds)
        ]
        return {"counts": counts, "score": float(np.mean(scores)), "scores": curves[0]}


def chosen_model(
    spark: SparkSession,
    rows: TrialRows,
    folder: Folder,
    home: Folder,
    library: Sequence[LibraryMember],
    metric: str,
    steps: int,
    voting: str,
    seed: int,
    trusted: Sequence[str],
) -> tuple[ShardModel, dict[str, Any]]:
    """Choose an ensemble from a library; return its model, saved in a folder, and its scores.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    rows : TrialRows
    folder : Folder
        Of the search.
    home : Folder
        Of the model.
    library : sequence of LibraryMember
    metric : str
    steps : int
        Largest number of members, with repetition.
    voting : str
        Of all members of the library.
    seed : int
    trusted : sequence of str

    References
    ----------
    Caruana, Niculescu-Mizil, Crew, Ksikes (2004), "Ensemble selection from libraries of models".
    """
    selection = Selection(metric, steps, min(_INITIAL, len(library)), 1, 1.0, seed)
    choice = _Choice(rows, folder, tuple(library), selection)
    (outcome,) = run_tasks(spark, [0], choice, description="choose an ensemble of trials")
    if outcome.error is not None:
        raise outcome.error
    records, weights, members = [], [], []
    for member, count in zip(library, outcome.result["counts"], strict=True):
        if not count:
            continue
        members.append({"trial": member.trial, "member": member.member, "count": count})
        for stored in member.records:
            name = stored["file"].removeprefix(f"{MEMBERS}/")
            folder.copy_file_to(stored["file"], home, stored["file"])
            home.child(MEMBERS).write_json(name.removesuffix(".skops") + ".json", stored)
            records.append(stored)
            weights.append(float(count))
    model = voting_model(rows.data, home, records, weights, voting, trusted)
    chosen = {"score": outcome.result["score"], "scores": outcome.result["scores"]}
    return model, {**chosen, "members": members}
