"""Transitions in memory, as arrays by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.dataset.block import Block
from sparkml_dist.reinforcement.transition_schema import TransitionSchema

__all__ = ["TransitionBlock"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TransitionBlock:
    """Steps of episodes: those of one episode are neighbours, in their order.

    A row is an action that was taken. Its next state is known (`has_next`), or there is none
    (`terminated`), or the log ends there (`usable` is false): the value of what follows is then
    unknown, and not 0.

    Attributes
    ----------
    state, next_state : ndarray of float64, shape (n, n_state)
        Next states that are not known, or that do not exist, are NaN.
    action, next_action : ndarray of int32, shape (n,)
        Codes: positions in the list of actions; -1 for a next action that is not known. Where
        actions are numbers: `action` is float64 of shape (n, n_action_columns), and `next_action`
        is -1.
    reward : ndarray of float64, shape (n,)
    terminated, truncated, has_next, first : ndarray of bool, shape (n,)
        Whether the episode ended here by itself, whether it was cut off here, whether the next
        state is known, and whether the row is the first one of its episode.
    step : ndarray of int64, shape (n,)
        Position in the episode, from 0.
    episode : ndarray of int64, shape (n,)
        Hash of the episode's identity; held-out episodes are a function of it.
    behavior_prob, discount, weight : ndarray of float64, shape (n,), or None
        Where the log has them.
    available, next_available : ndarray of bool, shape (n, n_actions), or None
        The actions that could be taken, where the log has them.
    """

    state: Floats
    action: npt.NDArray[Any]
    reward: Floats
    next_state: Floats
    next_action: npt.NDArray[np.int32]
    terminated: npt.NDArray[np.bool_]
    truncated: npt.NDArray[np.bool_]
    has_next: npt.NDArray[np.bool_]
    first: npt.NDArray[np.bool_]
    step: npt.NDArray[np.int64]
    episode: npt.NDArray[np.int64]
    behavior_prob: Floats | None = None
    discount: Floats | None = None
    weight: Floats | None = None
    available: npt.NDArray[np.bool_] | None = None
    next_available: npt.NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.reward)

    @property
    def usable(self) -> npt.NDArray[np.bool_]:
        """Rows of which a value can be learnt: those that terminate or have a next state."""
        return self.terminated | self.has_next

    def weights(self) -> Floats:
        """Return the weight of each row; ones where the log has none."""
        return np.ones(len(self)) if self.weight is None else self.weight

    def discounts(self, default: float) -> Floats:
        """Return the discount of each row: `default` where the log has none."""
        return np.full(len(self), float(default)) if self.discount is None else self.discount

    def take(self, rows: Any) -> TransitionBlock:
        """Return some rows: a slice, a mask or positions."""
        found: dict[str, Any] = {n: None if v is None else v[rows] for n, v in vars(self).items()}
        return TransitionBlock(**found)

    @staticmethod
    def concat(blocks: list[TransitionBlock]) -> TransitionBlock:
        """Return the rows of several blocks of one log, one after the other."""
        if len(blocks) == 1:
            return blocks[0]
        found: dict[str, Any] = {
            name: None if v is None else np.concatenate([getattr(b, name) for b in blocks])
            for name, v in vars(blocks[0]).items()
        }
        return TransitionBlock(**found)

    @classmethod
    def of(cls, block: Block, schema: TransitionSchema) -> TransitionBlock:
        """Return the transitions of a block of a shard, read as float64."""
        X: Any = block.X
        places = schema.places

        def one(name: str) -> Any:
            return X[:, places[name].start]

        def optional(name: str) -> Any:
            return np.ascontiguousarray(one(name)) if name in places else None

        def mask(name: str) -> Any:
            return X[:, places[name]] > 0 if name in places else None

        action = X[:, places["action"]]
        return cls(
            state=np.ascontiguousarray(X[:, places["state"]]),
            action=action[:, 0].astype(np.int32) if schema.action else action.copy(),
            reward=block.y,
            next_state=np.ascontiguousarray(X[:, places["next"]]),
            next_action=one("nextAction").astype(np.int32),
            terminated=one("terminated") > 0,
            truncated=one("truncated") > 0,
            has_next=one("hasNext") > 0,
            first=one("first") > 0,
            step=one("step").astype(np.int64),
            episode=block.key,
            behavior_prob=optional("behaviorProb"),
            discount=optional("discount"),
            weight=None if block.weight is None else block.weight.astype(np.float64),
            available=mask("available"),
            next_available=mask("nextAvailable"),
        )

    def to_block(self, schema: TransitionSchema) -> Block:
        """Return the rows as a block of a shard."""
        n, places = len(self), schema.places
        X = np.empty((n, len(schema.names)))
        columns = {
            "state": self.state,
            "next": self.next_state,
            "action": self.action,
            "nextAction": self.next_action,
            "terminated": self.terminated,
            "truncated": self.truncated,
            "hasNext": self.has_next,
            "first": self.first,
            "step": self.step,
            "behaviorProb": self.behavior_prob,
            "discount": self.discount,
            "available": self.available,
            "nextAvailable": self.next_available,
        }
        for name, place in places.items():
            X[:, place] = np.asarray(columns[name]).reshape(n, -1)
        return Block(X, self.reward, self.weight, self.episode)  # type: ignore[arg-type]
