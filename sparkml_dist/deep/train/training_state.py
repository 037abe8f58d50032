"""Reads the state of a training from a model, and restores it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.deep.backend.with_horovod import hvd, tf
from sparkml_dist.deep.embedding.marks import Shard, shard_of, sharded_over_ranks, take_rows
from sparkml_dist.errors import ConfigurationError

__all__ = ["TrainingState"]

Array = npt.NDArray[Any]


class TrainingState:
    """The state of a training.

    Weights and the optimizer's variables are equal on all ranks, so that one copy suffices, except
    for tables that are sharded over the ranks. Each rank also has its own sums of the metrics over
    the rows of the epoch so far, and the state of its dropout's random generators.

    Parameters
    ----------
    model : keras.Model
        Built, with a built optimizer.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        weights = model.weights
        every = {
            **_numbered("weights", weights),
            **_numbered("optimizer", model.optimizer.variables),
        }
        self._parts = {key: v for key, v in every.items() if sharded_over_ranks(v)}
        self._shared = {key: v for key, v in every.items() if key not in self._parts}
        known = {id(v) for v in weights}
        self._seeds = _numbered("seeds", (v for v in model.variables if id(v) not in known))

    @property
    def _metrics(self) -> dict[str, Any]:
        # Some metrics create their variables with their first batch.
        return _numbered("metrics", self._model.metrics_variables)

    def is_finite(self) -> bool:
        """Tell whether all trained weights are finite numbers."""
        return all(
            bool(tf.reduce_all(tf.math.is_finite(v.value))) for v in self._model.trainable_variables
        )

    def shared(self) -> dict[str, Array]:
        """Return copies of the variables that are equal on all ranks."""
        return {key: _storable(v.numpy()) for key, v in self._shared.items()}

    def load_shared(self, arrays: Mapping[str, Array]) -> None:
        """Restore the values of `shared`."""
        for key, variable in self._shared.items():
            _assign(variable, arrays[key])

    @property
    def shards(self) -> dict[str, list[int]]:
        """Rows of the table, index and owners, for each variable that is a part of a table."""
        found = {key: shard_of(v) for key, v in self._parts.items()}
        return {key: [s.rows, s.index, s.owners] for key, s in found.items() if s is not None}

    def parts(self) -> dict[str, Array]:
        """Return copies of this rank's parts of tables."""
        return {key: _storable(v.numpy()) for key, v in self._parts.items()}

    def load_parts(
        self,
        shards: Sequence[Mapping[str, list[int]]],
        read: Callable[[int], Mapping[str, Array]],
    ) -> None:
        """Restore this rank's parts of tables, from the parts of all former ranks.

        Parameters
        ----------
        shards : sequence of dict
            Value of `shards` on each former rank.
        read : callable
            ``read(rank)`` returns the value of `parts` on a former rank; called for one at a time.
        """
        targets = {key: _storable(v.numpy()) for key, v in self._parts.items()}
        seen: set[tuple[str, int]] = set()
        for rank, stored in enumerate(shards):
            # Groups of ranks may hold equal parts.
            fresh = [k for k, (_, i, _) in stored.items() if k in targets and (k, i) not in seen]
            if not fresh:
                continue
            seen.update((key, stored[key][1]) for key in fresh)
            arrays = read(rank)
            for key in fresh:
                wanted, part = shard_of(self._parts[key]), Shard(*stored[key])
                assert wanted is not None
                if part.rows != wanted.rows or len(arrays[key]) < len(part):
                    raise ValueError(f"{key} is a part of another table")
                take_rows(targets[key], wanted, arrays[key], part)
        for key, variable in self._parts.items():
            _assign(variable, targets[key])

    def own(self, counts: Mapping[str, int], *, metrics: bool) -> dict[str, Array]:
        """Return the state that differs between ranks, of all ranks; every rank must call it.

        Parameters
        ----------
        counts : mapping of str to int
            Further counts of this rank to include.
        metrics : bool
            Whether to include the sums of the metrics; False at the start of an epoch.

        Returns
        -------
        dict of str to ndarray, shape (ranks, ...)
        """
        variables = {**self._seeds, **(self._metrics if metrics else {})}
        mine = {key: _storable(v.numpy()) for key, v in variables.items()}
        mine.update({f"counts/{name}": np.array(n, np.int64) for name, n in counts.items()})
        packed = np.frombuffer(b"".join(a.tobytes() for a in mine.values()), np.uint8)[None]
        if hvd.size() > 1:
            packed = hvd.allgather(tf.constant(packed), name="training_state").numpy()
        found, at = {}, 0
        for key, array in mine.items():
            part = np.ascontiguousarray(packed[:, at : at + array.nbytes])
            found[key] = part.view(array.dtype).reshape(len(packed), *array.shape)
            at += array.nbytes
        return found

    def load_generators(self, arrays: Mapping[str, Array], rank: int) -> None:
        """Restore this rank's random generators; an additional rank keeps its initial ones."""
        for key, variable in self._seeds.items():
            if rank < len(arrays[key]):
                _assign(variable, arrays[key][rank])

    def load_metrics(self, arrays: Mapping[str, Array], rank: int, size: int) -> None:
        """Restore the sums of this rank's metrics; resets them if there are none.

        With another number of ranks, rank 0 gets the sums of all ranks, since only their total
        matters.

        Raises
        ------
        ConfigurationError
            ``plan_differs`` when the metrics have other variables.
        """
        self._model.reset_metrics()
        stored = {key: a for key, a in arrays.items() if key.startswith("metrics/")}
        if not stored:
            return
        variables = self._metrics
        shapes = {key: a.shape[1:] for key, a in stored.items()}
        if shapes != {key: tuple(v.shape) for key, v in variables.items()}:
            raise ConfigurationError(
                "plan_differs",
                "The checkpoint is of a model with other metrics: their variables differ in "
                "number or shape.",
                "Resume with the metrics of the first run.",
            )
        for key, variable in variables.items():
            if len(stored[key]) == size:
                _assign(variable, stored[key][rank])
            elif rank == 0:
                total = _typed(stored[key], variable).sum(axis=0, dtype=np.float64)
                variable.assign(total.astype(variable.numpy().dtype))

    @staticmethod
    def count(arrays: Mapping[str, Array], name: str, rank: int, size: int) -> int:
        """Return a count of this rank; with another number of ranks, rank 0 gets the total."""
        counts = arrays[f"counts/{name}"]
        if len(counts) == size:
            return int(counts[rank])
        return int(counts.sum()) if rank == 0 else 0


def _numbered(kind: str, variables: Iterable[Any]) -> dict[str, Any]:
    return {f"{kind}/{i:04d}": v for i, v in enumerate(variables)}


def _storable(array: Array) -> Array:
    # numpy's format has no bfloat16: its bits are saved as unsigned integers.
    return array.view(f"u{array.dtype.itemsize}") if array.dtype.kind == "V" else array


def _typed(array: Array, variable: Any) -> Array:
    dtype = variable.numpy().dtype
    return array.view(dtype) if dtype.kind == "V" else array


def _assign(variable: Any, array: Array) -> None:
    variable.assign(_typed(array, variable))
