"""Decodes batches of a log, as Spark sends them to the writers of shards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sparkml_dist.errors import DataError
from sparkml_dist.reinforcement.episode_walk import LogRows
from sparkml_dist.reinforcement.transition_schema import TransitionSchema

__all__ = ["LogReader"]


@dataclass(frozen=True)
class LogReader:
    """Turns batches of the columns of `LogColumns.carried` into rows of arrays.

    Attributes
    ----------
    schema : TransitionSchema
    """

    schema: TransitionSchema

    def rows(self, batch: pa.RecordBatch) -> LogRows:
        """Return the rows of a batch.

        Raises
        ------
        DataError
            ``episode_null``, ``step_null``, ``unknown_action``, ``infinite_feature``.
        """
        schema, columns = self.schema, dict(zip(batch.schema.names, batch.columns, strict=True))
        if pc.any(columns["_lost"]).as_py():
            raise DataError(
                "episode_null",
                "A row has no episode: the episode column is null.",
                "Drop those rows, or give them an episode.",
            )
        step = columns["_step"]
        values = step.to_numpy(zero_copy_only=False)
        if step.null_count or (values.dtype.kind == "f" and np.isnan(values).any()):
            raise DataError(
                "step_null",
                f"The step column {schema.columns.get('step')!r} is null in some rows.",
                "Drop those rows, or give them a step.",
            )
        optional = {
            role: columns.get(f"_{role}") for role in ("behaviorProb", "discount", "weight")
        }
        numbers = {k: None if v is None else _numbers(v) for k, v in optional.items()}
        next_state = has_next = None
        if schema.next_state:
            names = [f"_next{i}" for i in range(schema.state.n_transported)]
            next_state = self._features([columns[n] for n in names], "nextState")
            has_next = columns["_hasNext"].to_numpy(zero_copy_only=False).astype(bool)
        names = [f"_state{i}" for i in range(schema.state.n_transported)]
        return LogRows(
            episode=columns["_episode"].to_numpy(zero_copy_only=False),
            step=values,
            action=self._action(columns["_action"]),
            reward=_numbers(columns["_reward"]),
            terminated=columns["_terminated"].to_numpy(zero_copy_only=False).astype(bool),
            truncated=columns["_truncated"].to_numpy(zero_copy_only=False).astype(bool),
            state=self._features([columns[n] for n in names], "state"),
            next_state=next_state,
            has_next=has_next,
            behavior_prob=numbers["behaviorProb"],
            discount=numbers["discount"],
            weight=numbers["weight"],
            available=self._available(columns.get("_available")),
        )

    def _features(self, carried: list[pa.Array], role: str) -> npt.NDArray[np.float64]:
        matrix: Any = self.schema.state.encode(carried)
        if np.isinf(matrix).any():
            at = int(np.flatnonzero(np.isinf(matrix).any(axis=0))[0])
            raise DataError(
                "infinite_feature",
                f"The {role} feature {self.schema.state.feature_names[at]!r} is infinite.",
                "Clip it or set it to null; nulls become missing values.",
            )
        return np.asarray(matrix, np.float64)

    def _action(self, values: pa.Array) -> npt.NDArray[Any]:
        label = self.schema.action
        if label is None:
            flat = _numbers(values.flatten())
            return flat.reshape(len(values), len(self.schema.action_columns))
        codes = np.full(len(values), -1, np.int32)
        known = values.is_valid().to_numpy(zero_copy_only=False)
        if known.any():
            codes[known] = self._codes(values.drop_null())
        return codes

    def _codes(self, values: pa.Array) -> npt.NDArray[np.int32]:
        label = self.schema.action
        assert label is not None
        try:
            return label.encode(values)
        except DataError as error:
            if error.code != "rows_changed":
                raise
            raise DataError(
                "unknown_action",
                f"{error.message.split(' holds ')[0]} holds an action that is not one of the "
                f"{len(label.classes)}: {error.message.split(' holds ')[1].split(', ')[0]}.",
                "Add it to actions, or drop those episodes.",
            ) from error

    def _available(self, values: pa.Array | None) -> npt.NDArray[np.bool_] | None:
        """Return which actions a row allows; all where it is null."""
        if values is None or self.schema.action is None:
            return None
        found = np.zeros((len(values), self.schema.n_actions), bool)
        found[~values.is_valid().to_numpy(zero_copy_only=False)] = True
        rows = pc.list_parent_indices(values).to_numpy(zero_copy_only=False)
        flat = values.flatten()
        if len(flat):
            kind = self.schema.action.class_array().type
            found[rows, self._codes(flat.cast(kind))] = True
        return found


def _numbers(values: pa.Array) -> npt.NDArray[np.float64]:
    """Return doubles, with NaN for nulls."""
    return np.array(pc.fill_null(values, np.nan).to_numpy(zero_copy_only=False), np.float64)
