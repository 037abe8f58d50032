"""Sets up the actions at the end of each epoch, from the job and the model of a rank."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np

from sparkml_dist.cluster.rank_context import RankContext
from sparkml_dist.deep.backend.with_horovod import hvd, tf
from sparkml_dist.deep.input.pipeline import Batch, BatchStream
from sparkml_dist.deep.input.plan import EpochPlan, plan_epoch
from sparkml_dist.deep.input.rank_input import rank_stream
from sparkml_dist.deep.input.rows import TrainingRows
from sparkml_dist.deep.input.training_job import TrainingJob
from sparkml_dist.deep.network.network_arrays import network_arrays
from sparkml_dist.deep.params.early_stopping_settings import EarlyStoppingSettings
from sparkml_dist.deep.train.callbacks import Callbacks
from sparkml_dist.deep.train.coupling import Coupling
from sparkml_dist.deep.train.early_stopping import Better, EarlyStopping, monitored
from sparkml_dist.deep.train.epoch_end import EpochEnd
from sparkml_dist.deep.train.event_files import EventFiles
from sparkml_dist.deep.train.model_check import check_loss, metric_directions
from sparkml_dist.deep.train.network_facts import Facts
from sparkml_dist.deep.train.validation import Validator
from sparkml_dist.errors import DataError

__all__ = ["count_row_groups", "prepare_epoch_end"]


def count_row_groups(context: RankContext, rows: TrainingRows, purpose: str) -> list[list[int]]:
    """Return the number of rows of every row group; each is counted by one rank."""
    counts = rows.count(context.rank, context.size)
    if context.size > 1:
        counts = hvd.allreduce(tf.constant(counts), op=hvd.Sum, name="row_groups").numpy()
    if not counts.sum():
        assert rows.validation is not None
        raise DataError(
            "no_training_rows" if purpose == "training" else "no_validation_rows",
            f"validationFraction={rows.validation.fraction:g} leaves no rows for {purpose}.",
            f"The data has {rows.data.n_rows:,} rows; rows with equal keys stay together.",
        )
    return rows.nested(counts)


def prepare_epoch_end(
    context: RankContext,
    job: TrainingJob,
    coupling: Coupling,
    facts: Facts,
    plan: EpochPlan,
    arrays: Callable[[Batch], tuple[Any, Any]],
) -> EpochEnd:
    """Return the actions that every rank runs at the end of an epoch.

    Parameters
    ----------
    context : RankContext
    job : TrainingJob
    coupling : Coupling
    facts : NetworkFacts or OutputFacts
        Facts of the coupling's model.
    plan : EpochPlan
        The plan of any epoch.
    arrays : callable
        ``arrays(batch)`` returns the inputs of the network and of its loss.

    Raises
    ------
    ConfigurationError
            ``loss_failed``, ``unknown_monitor``, ``monitor_direction``, or as `Callbacks`.
    DataError
        ``no_validation_rows``.
    """
    model = coupling.model
    first = context.rank == 0
    names = _metric_names(job, model, facts)
    stopping = None
    if job.stopping is not None:
        validates = job.rows.validation is not None
        stopping = _stopping(model, job.stopping, names, validates=validates)
    return EpochEnd(
        model,
        job.epochs,
        validate=_validator(context, job, coupling, arrays),
        stopping=stopping,
        callbacks=None
        if job.callbacks is None
        else Callbacks(context, job.callbacks, model, job.epochs, plan.steps),
        events=EventFiles(job.folder.child("logs/tensorboard"))
        if first and job.tensorboard
        else None,
        rate=coupling.learning_rate,
    )


def _validator(
    context: RankContext,
    job: TrainingJob,
    coupling: Coupling,
    arrays: Callable[[Batch], tuple[Any, Any]],
) -> Validator | None:
    if job.rows.validation is None:
        return None
    rows = job.rows.validating
    held_out = plan_epoch(
        count_row_groups(context, rows, "validation"),
        lanes=job.lanes,
        batch_size=job.rows_at_once,
        seed=job.seed,
        epoch=0,
    )

    def stream() -> BatchStream:
        return rank_stream(rows, job.gathered, held_out, context.rank, context.size)

    return Validator(coupling, stream, arrays)


def _stopping(
    model: Any, settings: EarlyStoppingSettings, names: Sequence[str], *, validates: bool
) -> EarlyStopping:
    known = [*names, *(f"val_{name}" for name in names if validates)]
    monitored(settings.metric, dict.fromkeys(known, 0.0))
    better = metric_directions(model).get(settings.metric.removeprefix("val_"))
    return EarlyStopping(
        settings, lambda: [w.numpy() for w in model.weights], cast("Better | None", better)
    )


def _metric_names(job: TrainingJob, model: Any, facts: Facts) -> list[str]:
    rows = Batch(job.gathered.zeros(2), np.zeros(2, np.int32), np.ones(2, np.float32), 2)
    return check_loss(model, *network_arrays(rows, job, facts))
