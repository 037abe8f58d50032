"""The main function of a rank's process: build, couple, train, save."""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.cluster.rank_context import RankContext
from sparkml_dist.deep.backend.with_horovod import hvd, keras, tf
from sparkml_dist.deep.checkpoint.progress_point import ProgressPoint
from sparkml_dist.deep.embedding.marks import count_parameters
from sparkml_dist.deep.embedding.saving import save_model
from sparkml_dist.deep.input.normalization import sample_moments
from sparkml_dist.deep.input.pipeline import Batch, BatchStream, EpochStreams
from sparkml_dist.deep.input.plan import EpochPlan, plan_epoch
from sparkml_dist.deep.input.rank_input import rank_stream
from sparkml_dist.deep.input.training_job import MODEL_FILE, TrainingJob
from sparkml_dist.deep.network.builder_call import load_builder, takes
from sparkml_dist.deep.network.network_arrays import network_arrays
from sparkml_dist.deep.params.checkpoint_settings import CHECKPOINTS
from sparkml_dist.deep.train.checkpointer import Checkpointer, Extra
from sparkml_dist.deep.train.coupling import Coupling
from sparkml_dist.deep.train.epoch_setup import count_row_groups, prepare_epoch_end
from sparkml_dist.deep.train.horovod_check import check_horovod
from sparkml_dist.deep.train.horovod_threads import start_horovod
from sparkml_dist.deep.train.loop import EpochReport, train_epochs
from sparkml_dist.deep.train.model_check import build_model
from sparkml_dist.deep.train.network_facts import Facts, network_facts
from sparkml_dist.persistence.filesystem import Folder

__all__ = ["train"]


def train(context: RankContext, job: TrainingJob) -> dict[str, Any]:
    """Train this rank's share; rank 0 saves the model.

    Parameters
    ----------
    context : RankContext
        The rank's place.
    job : TrainingJob
        Description of the training.

    Returns
    -------
    dict
        ``rows`` (of one epoch), ``seconds`` by phase, and on rank 0 ``history`` and ``model``.
    """
    clock = _Clock()
    reduction = _set_up(context, job)
    clock.lap("init")
    groups = count_row_groups(context, job.rows, "training")

    def plan(epoch: int) -> EpochPlan:
        return plan_epoch(
            groups,
            lanes=job.lanes,
            batch_size=job.batch_size,
            seed=job.seed,
            epoch=epoch,
        )

    first = plan(0)
    model, facts = _build(context, job, first)
    coupling = Coupling(model, job.coupling, steps=first.steps)

    def arrays(batch: Batch) -> tuple[Any, Any]:
        context.advance("a batch")
        return network_arrays(batch, job, facts)

    end = prepare_epoch_end(context, job, coupling, facts, first, arrays)
    end.begin()
    checkpoints = _checkpoints(context, job, model, first, end)
    start = checkpoints.resume() if checkpoints is not None else ProgressPoint()
    coupling.broadcast()
    end.start(start.epoch)
    clock.lap("build")
    if context.rank == 0:
        context.emit(
            "training",
            ranks=context.size,
            hosts=list(context.hosts),
            parameters=count_parameters(model),
            transport=coupling.transport,
            steps=first.steps,
            epochs=job.epochs,
            reduction=reduction,
        )

    def report(epoch: EpochReport) -> None:
        if context.rank == 0:
            context.emit("epoch", **asdict(epoch))

    def stream(epoch: int, start_step: int = 0) -> BatchStream:
        of_epoch = first if epoch == 0 else plan(epoch)
        return rank_stream(job.rows, job.gathered, of_epoch, context.rank, context.size, start_step)

    try:
        with EpochStreams(stream, job.epochs) as streams:
            reports = train_epochs(
                coupling,
                streams,
                arrays,
                job.epochs,
                report,
                end,
                checkpoints=checkpoints,
                start=start,
            )
    finally:
        if checkpoints is not None:
            checkpoints.close()
    clock.lap("train")
    best = end.finish()
    with tempfile.TemporaryDirectory() as local:
        # Ranks that share a table save it together; afterwards they do not communicate.
        part = getattr(model, job.part) if job.part else model
        save_model(part, os.path.join(local, MODEL_FILE))
        hvd.shutdown()
        saved = _saved(model, facts, Folder.at(local), job.folder) if context.rank == 0 else {}
    result: dict[str, Any] = {
        "rows": reports[-1].rows,
        "steps": reports[-1].steps,
        "epoch_seconds": [r.seconds for r in reports],
        "waited": sum(r.waited for r in reports),
    }
    if context.rank == 0:
        result["history"] = _history(reports)
        result["best"] = best
        result["model"] = saved
        clock.lap("save")
    return {**result, "seconds": clock.laps}


def _set_up(context: RankContext, job: TrainingJob) -> str:
    """Start Horovod; return the transport of the reduction: NCCL or Gloo."""
    reduction = check_horovod(context, job.reduction)
    tf.config.threading.set_intra_op_parallelism_threads(context.cpus)
    tf.config.threading.set_inter_op_parallelism_threads(context.cpus)
    start_horovod()
    keras.config.set_floatx("float32")
    if job.coupling.mixed_precision != "none":
        keras.mixed_precision.set_dtype_policy(f"mixed_{job.coupling.mixed_precision}")
    # Dropout differs between ranks; the initial weights are those of rank 0.
    keras.utils.set_random_seed((job.seed + context.rank) % 2**32)
    return reduction


def _build(context: RankContext, job: TrainingJob, plan: EpochPlan) -> tuple[Any, Facts]:
    builder = load_builder(job.builder)
    offered: dict[str, Any] = {
        "input_shape": job.inputs.shape,
        "vocabulary": {p.name: p.vocabulary for p in job.inputs.parts if p.vocabulary},
        "total_steps": plan.steps * job.epochs,
    }
    if not job.target.is_regression:
        offered["n_classes"] = job.target.n_classes
    if takes(builder, "normalization") or takes(builder, "target_normalization"):
        features, label = sample_moments(
            job.rows.read,
            plan.row_groups(),
            job.rows.data.n_features,
            rank=context.rank,
            ranks=context.size,
            gather=_gather,
        )
        mean, std = features.mean_and_std()
        offered["normalization"] = job.inputs.moments(mean, std)
        if job.target.is_regression:
            offered["target_normalization"] = tuple(float(m[0]) for m in label.mean_and_std())
    model = build_model(builder, offered, job.inputs)
    return model, network_facts(model, job.target, job.inputs)


def _gather(own: npt.NDArray[np.float64]) -> list[npt.NDArray[np.float64]]:
    return list(hvd.allgather(tf.constant(own[None]), name="moments").numpy())


def _checkpoints(
    context: RankContext, job: TrainingJob, model: Any, plan: EpochPlan, extra: Extra
) -> Checkpointer | None:
    if job.checkpoint is None:
        return None
    same = {
        "data": job.rows.data.manifest.content_sha256,
        "rows": sum(plan.lane_rows),
        "lanes": job.lanes,
        "batch_size": job.batch_size,
        "rate_batches": job.coupling.rate_batches or context.size * job.coupling.accumulation_steps,
        "epochs": job.epochs,
        "seed": job.seed,
    }
    folder = job.folder.child(CHECKPOINTS)
    return Checkpointer(context, job.checkpoint, folder, job.launch, model, same, extra)


def _history(reports: list[EpochReport]) -> dict[str, list[Any]]:
    return {name: [r.logs.get(name) for r in reports] for name in reports[0].logs}


def _saved(model: Any, facts: Facts, local: Folder, folder: Folder) -> dict[str, Any]:
    local.copy_file_to(MODEL_FILE, folder)
    return {
        "file": MODEL_FILE,
        "sha256": folder.sha256(MODEL_FILE),
        "bytes": folder.size(MODEL_FILE),
        "parameters": count_parameters(model),
        "facts": facts.to_dict(),
    }


class _Clock:
    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = now - self._last
        self._last = now
