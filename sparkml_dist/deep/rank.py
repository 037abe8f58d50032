"""What the process of one rank does: build, couple, train, save."""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import asdict
from typing import Any

from sparkml_dist.cluster.rank_context import RankContext
from sparkml_dist.deep.backend import hvd, keras, tf
from sparkml_dist.deep.coupling import Coupling
from sparkml_dist.deep.job import MODEL_FILE, TrainingJob
from sparkml_dist.deep.loop import EpochReport, train_epochs
from sparkml_dist.deep.model_check import (
    ModelFacts,
    build_model,
    classifier_facts,
    load_builder,
    takes,
)
from sparkml_dist.deep.normalization import feature_moments
from sparkml_dist.deep.pipeline import BatchStream
from sparkml_dist.deep.plan import EpochPlan, lanes_of, plan_epoch
from sparkml_dist.persistence.filesystem import Folder

__all__ = ["train"]


def train(context: RankContext, job: TrainingJob) -> dict[str, Any]:
    """Train this rank's share; rank 0 saves the model.

    Parameters
    ----------
    context : RankContext
        The rank's place.
    job : TrainingJob
        What to do.

    Returns
    -------
    dict
        ``rows`` (of one epoch), ``seconds`` by phase, and on rank 0 ``history`` and ``model``.
    """
    clock = _Clock()
    _set_up(context, job.seed)
    clock.lap("init")
    lanes = lanes_of(context.rank, context.size, job.lanes)
    lane_batch = job.batch_size * context.size // job.lanes

    def plan(epoch: int) -> EpochPlan:
        groups = [s.row_groups for s in job.data.shards]
        return plan_epoch(
            groups, lanes=job.lanes, lane_batch=lane_batch, seed=job.seed, epoch=epoch
        )

    first = plan(0)
    model, facts = _build(job, first)
    coupling = Coupling(model)
    coupling.broadcast()
    clock.lap("build")
    if context.rank == 0:
        context.emit(
            "training",
            ranks=context.size,
            hosts=list(context.hosts),
            parameters=model.count_params(),
            steps=first.steps,
            epochs=job.epochs,
        )

    def report(epoch: EpochReport) -> None:
        if context.rank == 0:
            context.emit("epoch", **asdict(epoch))

    def stream(epoch: int) -> BatchStream:
        return BatchStream(
            job.data.read_block,
            first if epoch == 0 else plan(epoch),
            lanes,
            job.data.n_features,
            job.input_shape,
        )

    reports = train_epochs(
        coupling, stream, lambda y: facts.encode(y, job.n_classes), job.epochs, report
    )
    clock.lap("train")
    # All ranks have met in the last check of the weights: from here on each is on its own.
    hvd.shutdown()
    result: dict[str, Any] = {
        "rows": reports[-1].rows,
        "steps": reports[-1].steps,
        "epoch_seconds": [r.seconds for r in reports],
        "waited": sum(r.waited for r in reports),
    }
    if context.rank == 0:
        result["history"] = _history(reports)
        result["model"] = _save(model, facts, job.folder)
        clock.lap("save")
    return {**result, "seconds": clock.laps}


def _set_up(context: RankContext, seed: int) -> None:
    tf.config.threading.set_intra_op_parallelism_threads(context.cpus)
    tf.config.threading.set_inter_op_parallelism_threads(context.cpus)
    hvd.init()
    keras.config.set_floatx("float32")
    # Dropout differs from rank to rank; the initial weights are rank 0's.
    keras.utils.set_random_seed((seed + context.rank) % 2**32)


def _build(job: TrainingJob, plan: EpochPlan) -> tuple[Any, ModelFacts]:
    builder = load_builder(job.builder)
    offered: dict[str, Any] = {
        "input_shape": job.input_shape,
        "n_classes": job.n_classes,
        "total_steps": plan.steps * job.epochs,
    }
    if takes(builder, "normalization"):
        pieces = (piece for lane in plan.lanes for piece in lane)
        offered["normalization"] = feature_moments(job.data.read_block, pieces, job.data.n_features)
    model = build_model(builder, offered)
    return model, classifier_facts(model, job.n_classes)


def _history(reports: list[EpochReport]) -> dict[str, list[Any]]:
    return {name: [r.logs.get(name) for r in reports] for name in reports[0].logs}


def _save(model: Any, facts: ModelFacts, folder: Folder) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as local:
        path = os.path.join(local, MODEL_FILE)
        model.save(path)
        Folder.at(local).copy_file_to(MODEL_FILE, folder)
    return {
        "file": MODEL_FILE,
        "sha256": folder.sha256(MODEL_FILE),
        "bytes": folder.size(MODEL_FILE),
        "parameters": model.count_params(),
        "units": facts.units,
        "logits": facts.logits,
    }


class _Clock:
    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = now - self._last
        self._last = now
