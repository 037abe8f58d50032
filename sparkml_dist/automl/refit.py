"""Fits the selected trials again, on the rows too that were held out from them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sparkml_dist.cluster.progress import job_tag
from sparkml_dist.cluster.tasks import run_tasks
from sparkml_dist.cluster.watched_child import Ending, Limits, run_watched
from sparkml_dist.dataset.subsets import Fold
from sparkml_dist.learners.fitting import MEMBERS, fit_learner, member_traits
from sparkml_dist.learners.known_learner import KnownLearner
from sparkml_dist.members.bag import Bag, Draw
from sparkml_dist.members.sampling import Sampling, member_seed
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.learners import dump_learner
from sparkml_dist.search.trial_rows import HeldOutParts, TrialRows

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["Refit", "refit_trials"]


@dataclass(frozen=True)
class Refit:
    """A trial to fit again.

    Attributes
    ----------
    trial : int
    learner : KnownLearner
        With the trial's parameters.
    seconds : float
        How long it will take, about.
    """

    trial: int
    learner: KnownLearner
    seconds: float


@dataclass(frozen=True)
class _RefitTask:
    """Fits one learner on all rows of some shards, in a watched child."""

    rows: TrialRows
    folder: Folder
    work: Refit
    shards: tuple[int, ...]
    seed: int
    cores: int
    trusted: tuple[str, ...]
    limits: Limits

    def __call__(self, index: int) -> dict[str, Any]:
        learner = self.work.learner
        found: dict[str, Any] = {}
        traits = learner.traits
        block = self.rows.training(self.shards, 0, traits.dtype)

        def fit(_: int) -> tuple[bytes, float]:
            draw = Draw(0, self.seed, Sampling("pasting", 1.0, 1.0))
            bag = Bag.of(block, draw, traits)
            ready = learner.prepared(member_seed(self.seed, 0), self.cores)
            fitted, seconds, _warned = fit_learner(ready, bag.X, bag.y, bag.weight, traits, bag.key)
            return dump_learner(fitted, trusted=self.trusted), seconds

        def take(_: int, ending: Ending) -> None:
            if ending.reason != "done":
                found["reason"] = ending.message or ending.reason
                return
            content, seconds = ending.value
            name = f"trial-{self.work.trial:05d}-all.skops"
            self.folder.child(MEMBERS).write_bytes(name, content)
            found["record"] = {
                "peak_rss_mb": round(ending.peak / 2**20, 1),
                "file": f"{MEMBERS}/{name}",
                "bytes": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
                "seconds": seconds,
                **member_traits(traits, None),
            }

        run_watched(fit, 1, self.limits, take)
        return found


def refit_trials(
    spark: SparkSession,
    rows: TrialRows,
    folder: Folder,
    works: Sequence[Refit],
    shards: Sequence[int],
    seed: int,
    cores: int,
    trusted: Sequence[str],
    *,
    slots: int,
    limits: Limits,
    left: Callable[[], float | None],
) -> Mapping[int, dict[str, Any]]:
    """Fit trials again, as many of the first ones as there is time for.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    rows : TrialRows
        Of the search.
    folder : Folder
        Members are committed in ``members/``.
    works : sequence of Refit
        The most important first.
    shards : sequence of int
        To learn from.
    seed, cores : int
    trusted : sequence of str
    slots : int
        Tasks that run at a time.
    limits : Limits
        Of each fit.
    left : callable
        Returns the seconds that are left; None for no end.

    Returns
    -------
    dict of int to dict
        Records of the members, by trial; without those that failed, or that there was no time for.
    """
    # A fold's rows are left out by the reader of a block only: `training` returns all.
    whole = replace(rows, held_out=HeldOutParts((Fold(2, 0, 0),), ()))

    def run(work: Refit) -> dict[str, Any]:
        remaining = left()
        if remaining is not None and remaining < work.seconds:
            return {}
        task = _RefitTask(
            whole,
            folder,
            work,
            tuple(shards),
            seed,
            cores,
            tuple(trusted),
            replace(limits, total_seconds=remaining),
        )
        with job_tag(spark, f"sparkml_dist-refit-{time.monotonic_ns()}"):
            (outcome,) = run_tasks(spark, [0], task, description=f"refit of trial {work.trial}")
        return {} if outcome.error is not None else dict(outcome.result)

    with ThreadPoolExecutor(slots, thread_name_prefix="sparkml_dist-refit") as threads:
        found = list(threads.map(run, works))
    return {w.trial: f["record"] for w, f in zip(works, found, strict=True) if "record" in f}
