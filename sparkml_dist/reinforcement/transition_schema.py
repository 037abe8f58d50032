"""The columns of transitions: which role each plays, and where it lies in a shard."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from sparkml_dist.dataset.labels import Label
from sparkml_dist.dataset.schema import FeatureColumn, FeatureSchema
from sparkml_dist.persistence.fields import items, text

__all__ = ["TransitionSchema"]

_FLAGS = ("nextAction", "terminated", "truncated", "hasNext", "first", "step")


@dataclass(frozen=True)
class TransitionSchema:
    """The state columns, the actions, and what else a log of transitions has.

    A shard is one of a `PartitionedDataset` whose label is the reward and whose key is the episode;
    its features are the state, the next state and what `places` names.

    Attributes
    ----------
    state : FeatureSchema
        Encoding of the state columns, float64.
    action : Label or None
        The action column and the list of actions; a row's code is the position there. None for
        actions that are numbers.
    action_columns : tuple of str
        The columns of actions that are numbers; empty for a list of actions.
    reward : str
        Name of the reward column.
    columns : dict of str
        Names of the other columns, by role: ``episode``, ``step``, ``terminated``, ``truncated``,
        ``behaviorProb``, ``discount``, ``weight``, ``availableActions``; absent ones are left out.
    next_state : tuple of str
        Columns of the next state where the log has it; empty where it is that of the next row.
    """

    state: FeatureSchema
    action: Label | None
    action_columns: tuple[str, ...]
    reward: str
    columns: dict[str, str]
    next_state: tuple[str, ...] = ()

    @property
    def actions(self) -> tuple[Any, ...]:
        """The list of actions, sorted; empty where they are numbers."""
        return () if self.action is None else self.action.classes

    @property
    def n_actions(self) -> int:
        """Number of actions; 0 where they are numbers."""
        return len(self.actions)

    @property
    def n_state(self) -> int:
        """Number of features of a state."""
        return self.state.n_features

    @cached_property
    def next_schema(self) -> FeatureSchema:
        """Encoding of the columns of the next state."""
        pairs = zip(self.state.columns, self.next_state, strict=True)
        return replace(self.state, columns=tuple(replace(c, name=n) for c, n in pairs))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of a shard's features, in the order of its matrix."""
        state = self.state.feature_names
        found = [f"state:{n}" for n in state] + [f"next:{n}" for n in state]
        found += ["action"] if self.action else [f"action:{n}" for n in self.action_columns]
        found += _FLAGS
        found += [role for role in ("behaviorProb", "discount") if role in self.columns]
        if "availableActions" in self.columns:
            found += [f"available:{i}" for i in range(self.n_actions)]
            found += [f"nextAvailable:{i}" for i in range(self.n_actions)]
        return tuple(found)

    @cached_property
    def places(self) -> dict[str, slice]:
        """Positions in the matrix: ``state``, ``next``, ``action``, and each other name."""
        width = self.n_state
        actions = 1 if self.action else len(self.action_columns)
        found = {
            "state": slice(0, width),
            "next": slice(width, 2 * width),
            "action": slice(2 * width, 2 * width + actions),
        }
        for at, name in enumerate(self.names[2 * width + actions :], 2 * width + actions):
            if ":" not in name:
                found[name] = slice(at, at + 1)
        if "availableActions" in self.columns:
            at, n = len(self.names) - 2 * self.n_actions, self.n_actions
            found["available"] = slice(at, at + n)
            found["nextAvailable"] = slice(at + n, at + 2 * n)
        return found

    @property
    def shard_schema(self) -> FeatureSchema:
        """The features of a shard."""
        columns = [FeatureColumn(name, "numeric") for name in self.names]
        return FeatureSchema.build(columns, sparse=False, precision="float64")

    def to_dict(self) -> dict[str, Any]:
        """Return the schema as JSON values."""
        return {
            "state": self.state.to_dict(),
            "action": None if self.action is None else self.action.to_dict(),
            "action_columns": list(self.action_columns),
            "reward": self.reward,
            "columns": self.columns,
            "next_state": list(self.next_state),
        }

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> TransitionSchema:
        """Return the schema of an entry; raise KeyError, TypeError or ValueError for others."""
        action = value["action"]
        return cls(
            FeatureSchema.from_dict(value["state"]),
            None if action is None else Label.from_dict(action),
            tuple(text(c, "action_columns") for c in items(value["action_columns"], "columns")),
            text(value["reward"], "reward"),
            {text(k, "columns"): text(v, "columns") for k, v in dict(value["columns"]).items()},
            tuple(text(c, "next_state") for c in items(value["next_state"], "next_state")),
        )
