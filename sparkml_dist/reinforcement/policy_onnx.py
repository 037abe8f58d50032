"""Policies as parts of an ONNX graph: probabilities of actions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from sparkml_dist.reinforcement.policy import LocalPolicy

if TYPE_CHECKING:
    from sparkml_dist.onnx.graph import OnnxGraph

__all__ = ["PolicyScorer", "one_hot_of_best"]


@dataclass(frozen=True)
class PolicyScorer:
    """Base of the scorers of policies: the probabilities of actions.

    Attributes
    ----------
    policy : LocalPolicy
    """

    policy: LocalPolicy

    raw_scale: ClassVar[float] = 1.0

    @property
    def cache_key(self) -> str:
        """Identifies the policy in this process."""
        return f"policy/{id(self.policy)}"

    def load(self) -> Callable[[Any], Any]:
        """Return a function from states (n, n_state) to probabilities (n, n_actions)."""
        return self.policy.probabilities


def one_hot_of_best(graph: OnnxGraph, values: str, n_actions: int) -> str:
    """Add the policy that takes the first best action; return the name of its probabilities."""
    best = graph.node("ArgMax", [values], axis=1, keepdims=0)
    ends = graph.constant([0.0, 1.0], "float32")
    return graph.node("OneHot", [best, graph.constant(n_actions, "int64"), ends], axis=-1)
