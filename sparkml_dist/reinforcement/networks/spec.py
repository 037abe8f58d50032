"""What a network learns from transitions, and how; imports no TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ALGORITHMS", "CONTINUOUS", "DISCRETE", "LearnerSpec"]

#: Algorithms for a list of actions.
DISCRETE = ("dqn", "cql", "bcq", "iql", "bc")
#: Algorithms for actions that are numbers.
CONTINUOUS = ("iql", "td3bc", "bc")
ALGORITHMS = (*DISCRETE, "td3bc")


@dataclass(frozen=True)
class LearnerSpec:
    """The algorithm, its settings and the sizes of its networks.

    Attributes
    ----------
    algorithm : str
        One of `ALGORITHMS`.
    n_actions : int
        Number of actions; 0 where they are numbers.
    low, high : tuple of float
        Bounds of each number of an action; empty for a list of actions.
    hidden : tuple of int
        Units of the hidden layers of every network.
    rate : float
        Learning rate of Adam.
    target_update : int or float
        Updates from one copy of the networks to the target networks to the next, or, below 1, the
        share by which the target networks approach them at each update.
    double_q, dueling : bool
        See `DeepQLearning`.
    alpha, threshold, expectile, temperature : float
        See `DeepQLearning`.
    seed : int
    categories : tuple of int
        Number of categories of each feature of a state, 0 for numbers; empty where all are numbers.
    """

    algorithm: str
    n_actions: int
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    hidden: tuple[int, ...] = (256, 256)
    rate: float = 3e-4
    target_update: float = 0.005
    double_q: bool = True
    dueling: bool = False
    alpha: float = 1.0
    threshold: float = 0.3
    expectile: float = 0.7
    temperature: float = 3.0
    seed: int = 0
    categories: tuple[int, ...] = ()

    @property
    def continuous(self) -> bool:
        """Whether actions are numbers."""
        return not self.n_actions

    @property
    def outputs(self) -> tuple[str, ...]:
        """Outputs of the network that is saved, in its order.

        ``values`` has one number for each action of the list, or one for the action that the policy
        takes; ``logits`` are those of the policy, or of the cloned behavior; ``actions`` are
        numbers.
        """
        if self.continuous:
            return ("actions",) if self.algorithm == "bc" else ("actions", "values")
        return {"bcq": ("values", "logits"), "iql": ("values", "logits"), "bc": ("logits",)}.get(
            self.algorithm, ("values",)
        )

    @property
    def terms(self) -> dict[str, float]:
        """Terms of the loss of a transition, and the factor of each."""
        if self.algorithm == "bc":
            return {"policy": 1.0}
        if self.algorithm == "td3bc":
            return {"value": 1.0, "policy": 1.0}
        if self.algorithm == "iql":
            return {"state_value": 1.0, "value": 1.0, "policy": 1.0}
        if self.algorithm == "bcq":
            return {"value": 1.0, "behavior": 1.0, "logits": 0.01}
        more = {"conservative": self.alpha} if self.algorithm == "cql" else {}
        return {"value": 1.0, **more}
