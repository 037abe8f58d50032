"""A policy of networks in memory: values and actions for states, without Spark."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.deep.scoring.scorer import NetworkFile, task_cpus
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.reinforcement.policy import LocalPolicy, greedy

__all__ = ["DeepPolicy", "PolicyNetwork"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PolicyNetwork(NetworkFile):
    """The network of a policy in the form that is sent to workers.

    Attributes
    ----------
    outputs : tuple of str
        Names of its outputs, in its order: ``values``, ``logits``, ``actions``.
    """

    outputs: tuple[str, ...]

    def load(self) -> Any:
        """Return a function from states (n, n_state) to a dict of outputs as float64.

        Raises
        ------
        StorageError
            ``file_altered`` or ``network_not_loaded``.
        """
        network = self.network(task_cpus())
        import tensorflow as tf

        width = self.inputs.parts[0].shape[0]
        # Any number of rows: an environment asks for the action of one state at a time.
        run = tf.function(
            lambda x: network(x, training=False),
            input_signature=[tf.TensorSpec((None, width), "float32")],
            jit_compile=False,
        )

        def outputs(states: npt.ArrayLike) -> dict[str, Floats]:
            rows = np.ascontiguousarray(np.asarray(states).reshape(-1, width), np.float32)
            found = tf.nest.flatten(run(tf.convert_to_tensor(rows)))
            arrays = (np.asarray(o.numpy(), np.float64) for o in found)
            return dict(zip(self.outputs, arrays, strict=True))

        return outputs


class DeepPolicy(LocalPolicy):
    """The policy of `DeepQLearning`, in memory; imports TensorFlow when it is first used.

    Greedy with respect to the values (``dqn``, ``cql``), to those of likely actions (``bcq``), or
    with the probabilities of a network (``iql``, ``bc``). With actions that are numbers,
    `choose` returns them, and there are no probabilities.

    Parameters
    ----------
    network : PolicyNetwork
        A copy in another process loads its file again.
    actions : tuple
        The list of actions; empty where they are numbers.
    algorithm : str
    threshold : float
        Of ``bcq``.
    """

    def __init__(
        self, network: PolicyNetwork, actions: tuple[Any, ...], algorithm: str, threshold: float
    ) -> None:
        self.network, self.actions = network, actions
        self.algorithm, self.threshold = algorithm, threshold

    @cached_property
    def _run(self) -> Any:
        return self.network.load()

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in vars(self).items() if k != "_run"}

    def q_values(self, states: npt.ArrayLike) -> Floats:
        """Return the value of each action, shape (n, n_actions); NaN after behavior cloning.

        With actions that are numbers, that of the policy's action, shape (n, 1).
        """
        return self._values(self._run(states))

    def probabilities(self, states: npt.ArrayLike) -> Floats:
        """Return the probability of each action, shape (n, n_actions).

        Raises
        ------
        ConfigurationError
            ``continuous_actions``.
        """
        if not self.actions:
            raise ConfigurationError(
                "continuous_actions",
                "A policy whose actions are numbers has no probabilities of actions.",
                "choose(states) returns the actions.",
            )
        return self.decide(states)[1]

    def decide(self, states: npt.ArrayLike) -> tuple[Floats, Floats]:
        """Return values and probabilities of actions, or of numbers the value and the action."""
        found = self._run(states)
        values = self._values(found)
        if not self.actions:
            return values, found["actions"]
        if "logits" not in found:
            return values, greedy(values)
        logits = found["logits"] - found["logits"].max(axis=1, keepdims=True)
        if self.algorithm == "bcq":
            return values, greedy(np.where(logits < np.log(self.threshold), np.nan, values))
        chances = np.exp(logits)
        return values, chances / chances.sum(axis=1, keepdims=True)

    def choose(self, states: npt.ArrayLike) -> npt.NDArray[Any]:
        """Return the likeliest action of each state: (n,), or (n, n_columns) of numbers."""
        _, chances = self.decide(states)
        if not self.actions:
            return chances
        return np.asarray(self.actions)[chances.argmax(axis=1)]

    def act(self, state: npt.ArrayLike, *, rng: np.random.Generator | None = None) -> Any:
        """Return the action to take in one state; see `LocalPolicy.act`."""
        return super().act(state, rng=rng) if self.actions else self.choose(state)[0]

    def _values(self, found: dict[str, Floats]) -> Floats:
        if "values" in found:
            return found["values"]
        rows = len(next(iter(found.values())))
        return np.full((rows, max(1, len(self.actions))), np.nan)
