"""What a rank does: bins its rows, grows trees with the other ranks, saves; imports XGBoost."""

from __future__ import annotations

import hashlib
import time
from typing import Any

import numpy as np
import xgboost
from xgboost import collective

from sparkml_dist.boosting.boosting_job import MODEL_FILE, BoostingJob
from sparkml_dist.boosting.cache_folder import cache_folder
from sparkml_dist.boosting.rank_rows import RankRows, rank_pieces
from sparkml_dist.boosting.train.batches import Batches
from sparkml_dist.boosting.train.rank_group import coupled
from sparkml_dist.boosting.train.rounds import boosted
from sparkml_dist.cluster.rank_context import RankContext
from sparkml_dist.errors import DataError, TrainingError

__all__ = ["train"]

_OF_RANKS = "src/collective/"  # in errors that the loss of another rank causes


def train(context: RankContext, job: BoostingJob) -> dict[str, Any]:
    """Train the model; rank 0 writes it into the job's folder.

    Parameters
    ----------
    context : RankContext
    job : BoostingJob

    Returns
    -------
    dict
        ``rows`` (of this rank), ``seconds`` by phase, ``sha256`` and ``bytes`` of the model,
        ``history``, ``best`` and ``rounds``.

    Raises
    ------
    DataError
        ``no_training_rows`` or ``no_validation_rows``.
    TrainingError
        ``diverged``, or ``rank_failed`` with XGBoost's reason.
    """
    try:
        with coupled(context), cache_folder() as cache:
            return _train(context, job, cache if job.external else None)
    except xgboost.core.XGBoostError as error:
        if _OF_RANKS in str(error):
            raise
        raise TrainingError(
            "rank_failed", f"XGBoost failed on rank {context.rank}: {_reason(error)}"
        ) from error


def _train(context: RankContext, job: BoostingJob, cache: str | None) -> dict[str, Any]:
    begun = time.perf_counter()
    pieces = rank_pieces(job.data, context.rank, context.size, _batch_rows(job))
    rows = RankRows(job.data, pieces, job.validation)
    held = RankRows(job.data, pieces, job.validation, held_out=True)
    count = _check_rows(context, rows, held)
    training = _matrix(context, job, rows, cache and f"{cache}/training")
    matrices = {"": training}
    if job.validation is not None:
        matrices["val_"] = _matrix(context, job, held, cache and f"{cache}/held-out", training)
    binned = time.perf_counter()
    booster, history, best = boosted(context, job, matrices)
    trained = time.perf_counter()
    content = bytes(booster.save_raw("ubj"))
    # XGBoost's files in the cache are deleted with the matrices.
    del booster, training, matrices
    if context.rank == 0:
        job.folder.write_bytes(MODEL_FILE, content)
    return {
        "rows": count,
        "seconds": {
            "bin": binned - begun,
            "train": trained - binned,
            "save": time.perf_counter() - trained,
        },
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "history": history,
        "best": best,
    }


def _batch_rows(job: BoostingJob) -> int:
    shards = job.data.shards
    row = sum(s.block_bytes for s in shards) / max(1, sum(s.rows for s in shards))
    return max(1, int(job.batch_bytes / max(row, 1.0)))


def _check_rows(context: RankContext, rows: RankRows, held: RankRows) -> int:
    """Return the number of training rows of this rank; raise if a set of rows is empty."""
    count = rows.count()
    if count == 0:
        raise DataError(
            "no_training_rows",
            f"Rank {context.rank} of {context.size} has no row to train on.",
            "Use fewer ranks (numRanks), or lower validationFraction.",
        )
    if rows.validation is not None:
        found = np.array([held.count()], np.int64)
        if context.size > 1:
            found = collective.allreduce(found, collective.Op.SUM)
        if found[0] == 0:
            raise DataError(
                "no_validation_rows",
                "No row is held out to stop by, or to evaluate the model on.",
                "Raise validationFraction, or give more rows.",
            )
    return count


def _matrix(
    context: RankContext,
    job: BoostingJob,
    rows: RankRows,
    cache: str | None,
    training: Any = None,
) -> Any:
    batches = Batches(
        rows,
        cache,
        lambda: context.advance("reading rows"),
        keep=job.keep_blocks,
        on_gpu=bool(context.gpus),
    )
    kind = xgboost.QuantileDMatrix if cache is None else xgboost.ExtMemQuantileDMatrix
    return kind(
        batches,
        max_bin=job.parameters["max_bin"],
        ref=training,
        nthread=context.cpus,
        enable_categorical=True,
    )


def _reason(error: Exception) -> str:
    """Return what XGBoost says, without the places in its code."""
    head = str(error).split("Stack trace:")[0].strip()
    lines = [line.strip("- ") for line in head.splitlines() if line.strip()]
    return (lines[0].rpartition(": ")[2] if len(lines) == 1 else " ".join(lines))[:500]
