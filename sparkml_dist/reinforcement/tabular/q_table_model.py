"""A fitted table of action values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sparkml_dist.dataset.labels import Label
from sparkml_dist.dataset.schema import FeatureSchema
from sparkml_dist.models.loading import Saved
from sparkml_dist.persistence.arrays import check_array, read_array, write_array
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.model_folder import ModelFile
from sparkml_dist.reinforcement.flat_rows import flat_rows
from sparkml_dist.reinforcement.policy import LocalPolicy
from sparkml_dist.reinforcement.policy_model import PolicyModel
from sparkml_dist.reinforcement.tabular.cells import Cells
from sparkml_dist.reinforcement.tabular.state_table import StateTable

__all__ = ["QTable", "QTableModel"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class QTable(LocalPolicy):
    """Looks the values of actions up by state.

    Attributes
    ----------
    actions : tuple
    states : ndarray of float64, shape (n_states, n_cell_features)
        Distinct, in the order of their features.
    q : ndarray of float64, shape (n_states, n_actions)
        NaN for actions that are not known in a state.
    cells : Cells or None
        Maps states to the rows of the table.
    """

    actions: tuple[Any, ...]
    states: Floats
    q: Floats
    cells: Cells | None = None

    @cached_property
    def _table(self) -> StateTable:
        return StateTable(self.states)

    def q_values(self, states: npt.ArrayLike) -> Floats:
        """Return the values of actions (n, n_actions); NaN in states that are not in the table."""
        rows = np.asarray(states, np.float64)
        rows = flat_rows(rows)
        known = np.asarray(~np.isnan(rows).any(axis=1))
        rows = np.where(known[:, None], rows, 0.0)
        found = self._table.find(rows if self.cells is None else self.cells(rows))
        known &= found >= 0
        values = np.full((len(rows), self.q.shape[1]), np.nan)
        values[known] = self.q[found[known]]
        return values


class QTableModel(PolicyModel):
    """The model of the tabular learners; its policy takes the first best action.

    ``transform`` adds the values of all actions, NaN for those that the log never takes in a state,
    and the best action. In a state that the log does not have, all values are NaN and every action
    is equally likely.

    Attributes
    ----------
    states : ndarray of float64, shape (n_states, n_features)
        The states of the table; the features of their cells where states are continuous.
    q : ndarray of float64, shape (n_states, n_actions)
    count : ndarray of float64, shape (n_states, n_actions)
        Weight of the rows of each pair.
    start : ndarray of float64, shape (n_states,)
        Share of the episodes that begin in a state.
    cells : Cells or None
    summary : dict
        ``states``, ``transitions``, ``iterations``, ``converged``, ``start_value``, …
    """

    def __init__(
        self,
        schema: FeatureSchema,
        label: Label,
        summary: dict[str, Any],
        arrays: dict[str, Floats],
        cells: Cells | None = None,
    ) -> None:
        super().__init__(schema, label, summary)
        self._arrays = arrays
        self.cells = cells

    @property
    def states(self) -> Floats:
        """The states of the table."""
        return self._arrays["states"]

    @property
    def q(self) -> Floats:
        """The values of actions, in the order of `actions`."""
        return self._arrays["q"]

    @property
    def count(self) -> Floats:
        """The weight of the rows of each pair of state and action."""
        return self._arrays["count"]

    @property
    def start(self) -> Floats:
        """The share of episodes that begin in each state."""
        return self._arrays["start"]

    @property
    def startValue(self) -> float:
        """Mean of the greedy value over the first states of episodes."""
        began = self.start > 0
        best = np.nanmax(self.q[began], axis=1, initial=-np.inf)
        return float((self.start[began] * best).sum())

    def to_local(self) -> QTable:
        """Return the table as a policy in memory, without Spark."""
        return QTable(self.actions, self.states, self.q, self.cells)

    def table(self) -> pa.Table:
        """Return the policy as a table: state features, action, its value, probability and rows.

        A row for each pair that has a value. Features of categories are their texts.
        """
        state, action = np.nonzero(~np.isnan(self.q))
        columns: dict[str, Any] = {}
        for i, name in enumerate(self._state_names()):
            values = self.states[state, i]
            categories = self._categories(i)
            columns[name] = (
                pa.array(values)
                if not categories
                else pa.array(categories).take(pa.array(values.astype(np.int64)))
            )
        columns["action"] = self.label.class_array().take(pa.array(action))
        columns["qValue"] = self.q[state, action]
        columns["actionProbability"] = self.to_local().of_values(self.q)[state, action]
        columns["rows"] = self.count[state, action]
        return pa.table(columns)

    def _state_names(self) -> list[str]:
        if self.cells is not None and self.cells.kind != "quantile":
            return ["cell"]
        return self.schema.feature_names

    def _categories(self, feature: int) -> tuple[str, ...]:
        if self.cells is not None:
            return ()
        return [c.categories for c in self.schema.columns for _ in range(c.size)][feature]

    def _state(self) -> dict[str, Any]:
        return {**super()._state(), "cells": None if self.cells is None else self.cells.kind}

    def _write_files(self, folder: Folder) -> Sequence[ModelFile]:
        arrays: dict[str, Any] = dict(self._arrays)
        if self.cells is not None:
            arrays |= {f"cells-{name}": a for name, a in self.cells.arrays.items()}
        for name, array in arrays.items():
            write_array(folder, f"{name}.npy", array)
        return [ModelFile.of(folder, f"{name}.npy") for name in arrays]

    @classmethod
    def _restore(cls, saved: Saved) -> Self:
        state = saved.state
        arrays = {
            name.removesuffix(".npy"): read_array(saved.folder, saved.listed(name))
            for name in saved.names(suffix=".npy")
        }
        schema, label = FeatureSchema.from_dict(state["features"]), Label.from_dict(state["label"])
        cells, width = None, schema.n_features
        if state["cells"] is not None:
            own = {n.removeprefix("cells-"): a for n, a in arrays.items() if n.startswith("cells-")}
            cells = Cells.from_arrays(state["cells"], own, schema.n_features)
            width = width if cells.kind == "quantile" else 1
        check_array(arrays, "states", (None, width))
        n = len(arrays["states"])
        check_array(arrays, "q", (n, len(label.classes)))
        check_array(arrays, "count", (n, len(label.classes)))
        check_array(arrays, "start", (n,))
        own = {name: arrays[name] for name in ("states", "q", "count", "start")}
        return cls(schema, label, dict(state["summary"]), own, cells)
