"""Deep Q-learning for a list of actions: DQN, conservative and batch-constrained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sparkml_dist.deep.backend.without_horovod import keras
from sparkml_dist.reinforcement.networks.learner import OffPolicyLearner, chosen
from sparkml_dist.reinforcement.networks.parts import Parts
from sparkml_dist.reinforcement.networks.spec import LearnerSpec

__all__ = ["DiscreteQ"]

_IMPOSSIBLE = -1e9


class DiscreteQ(OffPolicyLearner):
    """Learns the values of actions by temporal differences.

    The value of an action moves to the reward plus the discounted value of the next state's best
    action, as a target network says [1]_; with ``double_q`` the network itself chooses that action
    [2]_. ``cql`` also lowers the values of all actions against that of the one which was taken
    [3]_. ``bcq`` clones the behavior and leaves out actions that are less likely than ``threshold``
    times the likeliest one [4]_.

    References
    ----------
    .. [1] Mnih et al. (2015), "Human-level control through deep reinforcement learning", Nature
       518.
    .. [2] van Hasselt, Guez, Silver (2016), "Deep reinforcement learning with double Q-learning",
       AAAI.
    .. [3] Kumar, Zhou, Tucker, Levine (2020), "Conservative Q-learning for offline reinforcement
       learning", NeurIPS; CQL(H).
    .. [4] Fujimoto, Conti, Ghavamzadeh, Pineau (2019), "Benchmarking batch deep reinforcement
       learning algorithms", arXiv:1910.01708.
    """

    def __init__(self, spec: LearnerSpec, parts: Parts) -> None:
        super().__init__(spec, parts.unit)
        self.online = parts.of_state("values", spec.n_actions, dueling=spec.dueling)
        self.target = parts.of_state("target", spec.n_actions, dueling=spec.dueling)
        if spec.algorithm == "bcq":
            self.behavior = parts.of_state("behavior", spec.n_actions)

    @property
    def _first(self) -> Any:
        return self.online

    def _predictions(self, state: Any) -> list[Any]:
        values = [self._in_reward_units(self.online(state))]
        return [*values, self.behavior(state)] if self.spec.algorithm == "bcq" else values

    def targets(self) -> Sequence[tuple[Any, Any]]:
        """Return the network of values and its target network."""
        return ((self.online, self.target),)

    def call(self, x: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Return the terms of the loss of each transition, (n, 1)."""
        del training
        ops, algorithm = keras.ops, self.spec.algorithm
        values = self.online(x["state"])
        taken = chosen(values, x["action"])
        goal = x["reward"] / self.unit + x["discount"] * self._following(x)
        terms = {"value": huber(taken - ops.stop_gradient(goal))}
        if algorithm == "cql":
            terms["conservative"] = ops.logsumexp(values, axis=1, keepdims=True) - taken
        if algorithm == "bcq":
            logits = self.behavior(x["state"])
            terms["behavior"] = ops.logsumexp(logits, axis=1, keepdims=True) - chosen(
                logits, x["action"]
            )
            terms["logits"] = ops.mean(ops.square(logits), axis=1, keepdims=True)
        return terms

    def _following(self, x: dict[str, Any]) -> Any:
        """Return the value of the next state, (n, 1)."""
        ops, after = keras.ops, x["next_state"]
        values = self.target(after)
        judged = self.online(after) if self.spec.double_q else values
        if self.spec.algorithm == "bcq":
            logits = self.behavior(after)
            least = ops.max(logits, axis=1, keepdims=True) + ops.log(self.spec.threshold)
            judged = ops.where(logits < least, _IMPOSSIBLE, judged)
        if "next_available" in x:
            judged = ops.where(x["next_available"] > 0, judged, 2 * _IMPOSSIBLE)
        return chosen(values, ops.argmax(judged, axis=1))


def huber(difference: Any) -> Any:
    """Return Huber's loss: half of the square up to 1, and linear beyond."""
    ops = keras.ops
    size = ops.abs(difference)
    return ops.where(size <= 1.0, 0.5 * ops.square(difference), size - 0.5)
