"""Writes checkpoints while a rank trains, and resumes the training from one."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from sparkml_dist.cluster.rank_context import RankContext
from sparkml_dist.deep.backend.with_horovod import hvd, tf
from sparkml_dist.deep.checkpoint.content import checked_content
from sparkml_dist.deep.checkpoint.model_signature import first_difference, model_signature
from sparkml_dist.deep.checkpoint.progress_point import ProgressPoint
from sparkml_dist.deep.params.checkpoint_settings import CheckpointSettings
from sparkml_dist.deep.train.training_state import TrainingState
from sparkml_dist.errors import ConfigurationError, SparkMLDistError, StorageError
from sparkml_dist.persistence.checkpoints import Checkpoint, CheckpointId, CheckpointStore
from sparkml_dist.persistence.filesystem import Folder

__all__ = ["Checkpointer", "Extra"]

Arrays = dict[str, npt.NDArray[Any]]

# Only rank 0 reads the first file; all ranks read the others.
_SHARED, _OWN, _EXTRA = "state.npz", "ranks.npz", "extra.npz"


class Extra(Protocol):
    """State besides the model that a resumed training needs, such as that of early stopping."""

    def state(self) -> tuple[dict[str, Any], Mapping[str, npt.NDArray[Any]]]:
        """Return JSON values and arrays; called on rank 0."""

    def load_state(self, values: dict[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Restore the values of `state`; called on every rank."""


class Checkpointer:
    """The checkpoints of one rank's training.

    Rank 0 copies the state; then a thread writes it while the training continues.

    Parameters
    ----------
    context : RankContext
    settings : CheckpointSettings
    folder : Folder
        Folder of the checkpoints.
    launch : int
        Number of this launch of the gang, counted from 1.
    model : keras.Model
        Built, with a built optimizer.
    plan : dict
        JSON values that must be equal in a resumed training.
    extra : Extra, optional
        Further state to save.
    """

    def __init__(
        self,
        context: RankContext,
        settings: CheckpointSettings,
        folder: Folder,
        launch: int,
        model: Any,
        plan: dict[str, Any],
        extra: Extra | None = None,
    ) -> None:
        self._context = context
        self._settings = settings
        self._store = CheckpointStore(folder)
        self._launch = launch
        self._plan = plan
        self._extra = extra
        self._state = TrainingState(model)
        self._signature = model_signature(model)
        self._own: Arrays = {}
        self._writer = ThreadPoolExecutor(1, "sparkml_dist-checkpoint")
        self._pending: Future[None] | None = None

    def resume(self) -> ProgressPoint:
        """Restore the newest valid checkpoint; every rank must call it.

        Only rank 0 has the weights and the optimizer's state afterwards; they must be broadcast.

        Returns
        -------
        ProgressPoint
            The start of the training when there is no checkpoint.

        Raises
        ------
        ConfigurationError
            ``plan_differs``, naming the first thing in which they differ.
        StorageError
            ``checkpoint_damaged`` when its arrays do not match the model.
        """
        checkpoint = self._choose()
        if checkpoint is None:
            return ProgressPoint()
        content = checkpoint.content
        self._refuse_others(checkpoint)
        with checkpoint.restoring():
            if self._context.rank == 0:
                self._state.load_shared(checkpoint.arrays(_SHARED))
            self._own = checkpoint.arrays(_OWN)
            if self._state.shards:
                self._state.load_parts(content["shards"], lambda r: checkpoint.arrays(_part(r)))
            self._state.load_generators(self._own, self._context.rank)
            if self._extra is not None and content["extra"] is not None:
                arrays = checkpoint.arrays(_EXTRA) if _EXTRA in checkpoint.files else {}
                self._extra.load_state(content["extra"], arrays)
            rows = self._state.count(self._own, "rows", self._context.rank, self._context.size)
            at = ProgressPoint.from_dict(content["progress"], rows)
        if self._context.rank == 0:
            self._context.emit(
                "resumed",
                checkpoint=str(checkpoint.id),
                launch=self._launch,
                epoch=at.epoch,
                step=at.step,
                steps=at.steps,
                ranks_before=content["ranks"],
            )
        return at

    def load_metrics(self) -> None:
        """Restore the metrics' sums over the rows before the checkpoint.

        Some metrics have no variables before their first batch: call it after that batch at the
        latest.
        """
        if self._own:
            self._state.load_metrics(self._own, self._context.rank, self._context.size)
            self._own = {}

    def due(self, steps: int, *, epoch_ends: bool = False) -> bool:
        """Tell whether a checkpoint is written after this step of the whole training."""
        return self._settings.due(steps, epoch_ends=epoch_ends)

    def save(self, at: ProgressPoint) -> None:
        """Write a checkpoint; every rank must call it.

        State that is not trained, such as the means of batch normalization, must have been averaged
        before, so that rank 0 has that of all. Nothing is written when weights are not finite: the
        next loss reports it, and the previous checkpoint stays valid.
        """
        begun = time.perf_counter()
        own = self._state.own({"rows": at.rows}, metrics=at.step > 0)
        # Tables are too large for one rank: each writes its part, before the manifest.
        parts = self._write_parts(at)
        if self._context.rank != 0 or not self._ready() or not self._state.is_finite():
            return
        files: dict[str, Mapping[str, npt.NDArray[Any]]] = {
            _SHARED: self._state.shared(),
            _OWN: own,
        }
        values: dict[str, Any] | None = None
        if self._extra is not None:
            values, arrays = self._extra.state()
            if arrays:
                files[_EXTRA] = {key: np.array(a) for key, a in arrays.items()}
        content = {
            "progress": at.to_dict(),
            "plan": self._plan,
            "ranks": self._context.size,
            "model": self._signature,
            "extra": values,
            "shards": [part.pop("shards") for part in parts],
        }
        blocked = time.perf_counter() - begun
        self._pending = self._writer.submit(
            self._write,
            at,
            files,
            content,
            {_part(rank): part for rank, part in enumerate(parts)},
            blocked,
        )

    def close(self) -> None:
        """Wait until all checkpoints are written."""
        self._writer.shutdown(wait=True)

    def _ready(self) -> bool:
        """Tell whether to write now; skips a checkpoint at the end of an epoch if one is pending.

        A checkpoint after a set number of steps is never skipped: it waits for the pending one.
        """
        if self._pending is None or self._pending.done():
            return True
        if self._settings.every:
            self._pending.result()
            return True
        return False

    def _write(
        self,
        at: ProgressPoint,
        files: dict[str, Mapping[str, npt.NDArray[Any]]],
        content: dict[str, Any],
        parts: dict[str, dict[str, Any]],
        blocked: float,
    ) -> None:
        begun = time.perf_counter()
        where = {"epoch": at.epoch, "step": at.step, "steps": at.steps}
        try:
            written = self._store.write(CheckpointId(self._launch, at.steps), files, content, parts)
            self._store.prune(self._settings.kept_while_training)
        except (SparkMLDistError, OSError) as error:
            # A full disk must not end the training.
            self._context.emit("checkpoint_failed", **where, problem=str(error))
            return
        self._context.emit(
            "checkpoint",
            **where,
            name=str(written.id),
            bytes=sum(f["bytes"] for f in written.files.values()),
            blocked=blocked,
            seconds=time.perf_counter() - begun,
        )

    def _write_parts(self, at: ProgressPoint) -> list[dict[str, Any]]:
        """Write this rank's parts of tables; return those of all ranks, empty without tables."""
        if not self._state.shards:
            return []
        name = CheckpointId(self._launch, at.steps)
        mine = self._store.write_part(name, _part(self._context.rank), self._state.parts())
        if hvd.size() == 1:
            return [{**mine, "shards": self._state.shards}]
        return list(hvd.allgather_object({**mine, "shards": self._state.shards}))

    def _choose(self) -> Checkpoint | None:
        """Return the newest checkpoint that is valid on all ranks."""
        first = self._context.rank == 0
        ids = [[i.launch, i.step] for i in self._store.ids()] if first else []
        count = int(_from_first(np.array([len(ids)]), "checkpoint_count")[0])
        known = np.array(ids if first else np.zeros((count, 2)), np.int64).reshape(count, 2)
        for launch, step in _from_first(known, "checkpoint_ids"):
            problem = ""
            checkpoint: Checkpoint | None = None
            try:
                checkpoint = self._store.read(CheckpointId(int(launch), int(step)))
                checked_content(checkpoint)
                for name in checkpoint.files if first else (_OWN,):
                    checkpoint.verify(name)
            except StorageError as error:
                problem = error.message
            if _all(not problem):
                return checkpoint
            if first:
                self._context.emit(
                    "checkpoint_skipped",
                    checkpoint=str(CheckpointId(int(launch), int(step))),
                    problem=problem or "Another rank cannot read it.",
                )
        return None

    def _refuse_others(self, checkpoint: Checkpoint) -> None:
        stored = checkpoint.content["plan"]
        where = f"The checkpoint {checkpoint.folder.location!r}"
        for key, value in self._plan.items():
            # The estimator refuses other settings; it lets a search add epochs to a training.
            more = key == "epochs" and stored.get(key, value) < value
            if stored.get(key) != value and not more:
                raise ConfigurationError(
                    "plan_differs",
                    f"{where} is of a training with {key} = {stored.get(key)!r}; this one has "
                    f"{value!r}.",
                    "Resume with the same data and settings, or start again with overwrite=True.",
                )
        if what := first_difference(checkpoint.content["model"], self._signature):
            raise ConfigurationError(
                "plan_differs",
                f"{where} is of another model. The first difference is {what}.",
                "Resume with the builder of the first run, or pass overwrite=True to start again.",
            )


def _part(rank: int) -> str:
    return f"part-{rank:05d}.npz"


def _from_first(array: npt.NDArray[np.int64], name: str) -> npt.NDArray[np.int64]:
    """Return rank 0's array, of the same shape on all ranks."""
    if hvd.size() == 1 or not array.size:
        return array
    found: npt.NDArray[np.int64] = hvd.broadcast(tf.constant(array), 0, name=name).numpy()
    return found


def _all(good: bool) -> bool:
    if hvd.size() == 1:
        return good
    mine = tf.constant(int(good), tf.int32)
    return bool(hvd.allreduce(mine, op=hvd.Min, name="checkpoint_good").numpy())
