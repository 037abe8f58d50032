"""A training by a gang: its launches, its progress, and what is told of its ranks."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sparkml_dist.cluster.gang import RankResult, run_gang
from sparkml_dist.cluster.gang_params import Timeouts
from sparkml_dist.cluster.progress import progress
from sparkml_dist.cluster.rank_context import RankContext
from sparkml_dist.cluster.recovery import Restart, run_with_restarts
from sparkml_dist.persistence.checkpoints import CheckpointStore
from sparkml_dist.persistence.filesystem import Folder

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["GangTraining", "rank_record"]

LOGS = "logs"


@dataclass(frozen=True)
class GangTraining:
    """How a gang trains a model, launched again after the loss of a rank.

    Attributes
    ----------
    target : callable
        ``target(context, job)`` trains in each rank.
    job_of : callable
        ``job_of(number)`` returns the job of a launch; numbers increase from launch to launch.
    folder : Folder
        Of the model: ``logs/`` in it gets the output of every rank, those of later launches in
        folders of their own.
    store : CheckpointStore
    total : int
        Steps of the whole training, for the progress bar.
    step : str
        Event of rank 0 at the end of each step, which has a field ``step_field`` with its number.
    step_field : str
    unit : str
        What checkpoints are numbered by, for messages.
    preload, required : sequence of str
        Those of `run_gang`, as is `environment`.
    environment : mapping of str to str
    """

    target: Callable[[RankContext, Any], Any]
    job_of: Callable[[int], Any]
    folder: Folder
    store: CheckpointStore
    total: int
    step: str
    step_field: str
    unit: str
    preload: Sequence[str]
    required: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(
        self,
        spark: SparkSession,
        ranks: int,
        *,
        description: str,
        max_restarts: int,
        timeouts: Timeouts,
        on_event: Callable[[dict[str, Any]], None] | None,
    ) -> tuple[list[RankResult], list[Restart], float]:
        """Train; return the ranks' results, why the gang was launched again, and the seconds.

        Parameters
        ----------
        spark : pyspark.sql.SparkSession
        ranks : int
        description : str
            Shown before the progress bar, and with the numbers of ranks and steps in Spark's UI.
        max_restarts : int
        timeouts : Timeouts
        on_event : callable or None
            Called with each event of rank 0, and with a ``restart`` event before each restart.

        Raises
        ------
        SparkMLDistError
            Those of `run_gang`.
        """
        seen: set[int] = set()
        logs = self.folder.child(LOGS)

        def follow(event: dict[str, Any]) -> None:
            if event["event"] == self.step:
                seen.add(event[self.step_field])
            if on_event is not None:
                on_event(event)

        def launch(number: int) -> list[RankResult]:
            return run_gang(
                spark,
                ranks,
                self.target,
                self.job_of(number),
                description=f"{description}: {ranks} ranks, {self.total} {self.step}s",
                log_folder=logs if number == 1 else logs.child(f"launch-{number:03d}"),
                env=self.environment,
                on_event=follow,
                preload=self.preload,
                required=self.required,
                **timeouts,
            )

        begun = time.perf_counter()
        with progress(self.total, description, lambda: len(seen)):
            results, restarts = run_with_restarts(
                spark,
                ranks,
                launch,
                self.store,
                max_restarts,
                on_event,
                slot_timeout=timeouts["slot_timeout"],
                unit=self.unit,
            )
        return results, restarts, time.perf_counter() - begun


def rank_record(result: RankResult, **more: Any) -> dict[str, Any]:
    """Return what a model's summary tells of a rank.

    Parameters
    ----------
    result : RankResult
        Its value has ``rows``, and ``seconds`` with ``train``.
    **more
        Further fields.
    """
    return {
        "rank": result.rank,
        "host": result.host,
        "rows": result.value["rows"],
        "seconds": result.seconds,
        "train_seconds": result.value["seconds"]["train"],
        **more,
        "peak_rss_mb": result.peak_rss_mb,
    }
