"""Implicit Q-learning, for a list of actions and for actions that are numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from sparkml_dist.deep.backend.without_horovod import keras
from sparkml_dist.reinforcement.networks.learner import OffPolicyLearner, chosen, squared
from sparkml_dist.reinforcement.networks.parts import Parts
from sparkml_dist.reinforcement.networks.spec import LearnerSpec

__all__ = ["ImplicitQ", "expectile_loss"]

_MOST = 100.0  # largest weight of a row in the policy's loss, as published


class ImplicitQ(OffPolicyLearner):
    """Learns values from the actions of the log only, and a policy from the better of them.

    The value of a state is an expectile of the values of its actions; the values of actions move to
    the reward plus the discounted value of the next state; the policy clones the log with weights
    exp(temperature · advantage) [1]_.

    References
    ----------
    .. [1] Kostrikov, Nair, Levine (2022), "Offline reinforcement learning with implicit
       Q-learning", ICLR.
    """

    def __init__(self, spec: LearnerSpec, parts: Parts) -> None:
        super().__init__(spec, parts.unit)
        if spec.continuous:
            names = ("values_0", "values_1", "target_0", "target_1")
            built = [parts.of_action(name, spec.low, spec.high) for name in names]
            self.policy = parts.actor("policy", spec.low, spec.high)
            half = (
                (high - low) / 2 if high > low else 1.0
                for low, high in zip(spec.low, spec.high, strict=True)
            )
            start = [math.log(0.5 * h) for h in half]
            self.spread = self.add_weight(
                shape=(len(spec.low),),
                initializer=lambda _, dtype: keras.ops.cast(start, dtype),
                name="spread",
            )
        else:
            names = ("values_0", "values_1", "target_0", "target_1")
            built = [parts.of_state(name, spec.n_actions) for name in names]
            self.policy = parts.of_state("policy", spec.n_actions)
        self.first, self.second, self.first_target, self.second_target = built
        self.state_value = parts.of_state("state_value", 1)

    @property
    def _first(self) -> Any:
        return self.policy

    def _predictions(self, state: Any) -> list[Any]:
        policy = self.policy(state)
        of = [state, policy] if self.spec.continuous else state
        values = self._in_reward_units(keras.ops.minimum(self.first(of), self.second(of)))
        return [policy, values] if self.spec.continuous else [values, policy]

    def targets(self) -> Sequence[tuple[Any, Any]]:
        """Return both networks of values and their target networks."""
        return ((self.first, self.first_target), (self.second, self.second_target))

    def call(self, x: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Return the terms of the loss of each transition, (n, 1)."""
        del training
        ops = keras.ops
        state, action = x["state"], x["action"]

        def value(network: Any) -> Any:
            if self.spec.continuous:
                return network([state, action])
            return chosen(network(state), action)

        known = ops.stop_gradient(ops.minimum(value(self.first_target), value(self.second_target)))
        state_value = self.state_value(state)
        advantage = known - state_value
        goal = ops.stop_gradient(
            x["reward"] / self.unit + x["discount"] * self.state_value(x["next_state"])
        )
        weight = ops.exp(self.spec.temperature * ops.stop_gradient(advantage))
        return {
            "state_value": expectile_loss(advantage, self.spec.expectile),
            "value": squared(value(self.first) - goal) + squared(value(self.second) - goal),
            "policy": ops.minimum(weight, _MOST) * self._surprise(state, action),
        }

    def _surprise(self, state: Any, action: Any) -> Any:
        """Return minus the log-probability of actions, (n, 1)."""
        ops = keras.ops
        if not self.spec.continuous:
            logits = self.policy(state)
            return ops.logsumexp(logits, axis=1, keepdims=True) - chosen(logits, action)
        scaled = (action - self.policy(state)) * ops.exp(-self.spread)
        terms = squared(scaled) + self.spread + 0.5 * math.log(2 * math.pi)
        return ops.sum(terms, axis=1, keepdims=True)


def expectile_loss(difference: Any, expectile: float) -> Any:
    """Return squares, `expectile` times those above 0 and 1 − `expectile` times those below."""
    ops = keras.ops
    factor = ops.where(difference > 0, expectile, 1.0 - expectile)
    return factor * ops.square(difference)
