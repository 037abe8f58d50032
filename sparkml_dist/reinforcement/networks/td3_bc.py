"""TD3+BC: a deterministic policy for actions that are numbers, kept near the log's actions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sparkml_dist.deep.backend.without_horovod import keras, tf
from sparkml_dist.reinforcement.networks.learner import OffPolicyLearner, squared
from sparkml_dist.reinforcement.networks.parts import Parts, bounded
from sparkml_dist.reinforcement.networks.spec import LearnerSpec

__all__ = ["TD3BC"]

# As published, in units of half an action's range.
_NOISE, _MOST_NOISE = 0.2, 0.5


class TD3BC(OffPolicyLearner):
    """Learns two networks of values, and a policy of high value that resembles the log.

    The policy's loss is the squared distance from the log's action, in units of half of its range,
    less ``alpha`` times the value of the policy's action over the mean size of values [1]_. Unlike
    there, the policy moves at every update and not at every second one.

    References
    ----------
    .. [1] Fujimoto, Gu (2021), "A minimalist approach to offline reinforcement learning", NeurIPS.
    """

    def __init__(self, spec: LearnerSpec, parts: Parts) -> None:
        super().__init__(spec, parts.unit)
        bounds = (spec.low, spec.high)
        self.first, self.second = (parts.of_action(f"values_{i}", *bounds) for i in range(2))
        self.first_target, self.second_target = (
            parts.of_action(f"target_{i}", *bounds) for i in range(2)
        )
        self.policy = parts.actor("policy", *bounds)
        self.policy_target = parts.actor("policy_target", *bounds)
        self.noise = keras.random.SeedGenerator(spec.seed)
        self._half = [
            (high - low) / 2 if high > low else 1.0
            for low, high in zip(spec.low, spec.high, strict=True)
        ]

    @property
    def _first(self) -> Any:
        return self.policy

    def _predictions(self, state: Any) -> list[Any]:
        action = self.policy(state)
        pair = [state, action]
        values = keras.ops.minimum(self.first(pair), self.second(pair))
        return [action, self._in_reward_units(values)]

    def targets(self) -> Sequence[tuple[Any, Any]]:
        """Return the networks of values and of the policy with their target networks."""
        return (
            (self.first, self.first_target),
            (self.second, self.second_target),
            (self.policy, self.policy_target),
        )

    def call(self, x: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Return the terms of the loss of each transition, (n, 1)."""
        ops = keras.ops
        state, action, after = x["state"], x["action"], x["next_state"]
        half = ops.cast(self._half, "float32")
        following = self.policy_target(after)
        if training:
            noise = _NOISE * keras.random.normal(ops.shape(following), seed=self.noise)
            following = following + half * ops.clip(noise, -_MOST_NOISE, _MOST_NOISE)
        following = bounded(following, self.spec.low, self.spec.high)
        pair = [after, following]
        value = ops.minimum(self.first_target(pair), self.second_target(pair))
        goal = ops.stop_gradient(x["reward"] / self.unit + x["discount"] * value)
        own = self.policy(state)
        worth = self._fixed_value(state, own)
        size = ops.stop_gradient(ops.mean(ops.abs(worth)))
        distance = ops.mean(ops.square((own - action) / half), axis=1, keepdims=True)
        return {
            "value": squared(self.first([state, action]) - goal)
            + squared(self.second([state, action]) - goal),
            "policy": distance - self.spec.alpha * worth / (size + 1e-6),
        }

    def _fixed_value(self, state: Any, action: Any) -> Any:
        """Return the first network's values; the policy's loss must not move that network."""
        network = self.first
        fixed = [tf.stop_gradient(v.value) for v in network.trainable_variables]
        others = [v.value for v in network.non_trainable_variables]
        values, _ = network.stateless_call(fixed, others, [state, action])
        return values
