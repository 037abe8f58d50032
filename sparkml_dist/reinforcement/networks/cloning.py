"""Behavior cloning: the policy that the log shows."""

from __future__ import annotations

from typing import Any

from sparkml_dist.deep.backend.without_horovod import keras
from sparkml_dist.reinforcement.networks.learner import OffPolicyLearner, chosen
from sparkml_dist.reinforcement.networks.parts import Parts
from sparkml_dist.reinforcement.networks.spec import LearnerSpec

__all__ = ["Cloning"]


class Cloning(OffPolicyLearner):
    """Learns the probabilities of the log's actions, or the mean of actions that are numbers."""

    def __init__(self, spec: LearnerSpec, parts: Parts) -> None:
        super().__init__(spec)
        self.policy = (
            parts.actor("policy", spec.low, spec.high)
            if spec.continuous
            else parts.of_state("policy", spec.n_actions)
        )

    @property
    def _first(self) -> Any:
        return self.policy

    def _predictions(self, state: Any) -> list[Any]:
        return [self.policy(state)]

    def call(self, x: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Return the loss of each transition, (n, 1)."""
        del training
        ops, found = keras.ops, self.policy(x["state"])
        if self.spec.continuous:
            loss = ops.mean(ops.square(found - x["action"]), axis=1, keepdims=True)
        else:
            loss = ops.logsumexp(found, axis=1, keepdims=True) - chosen(found, x["action"])
        return {"policy": loss}
