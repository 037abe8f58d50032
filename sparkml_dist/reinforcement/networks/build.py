"""Builds the learner of an algorithm; called on every rank."""

from __future__ import annotations

from typing import Any

from sparkml_dist.reinforcement.networks.spec import LearnerSpec

__all__ = ["build_learner", "value_unit"]

_LARGEST = 0.999  # mean discount of the longest returns that are told apart


def build_learner(
    spec: LearnerSpec,
    *,
    input_shape: dict[str, tuple[int, ...]],
    normalization: dict[str, Any],
    total_steps: int = 1000,
) -> Any:
    """Return the compiled learner.

    Parameters
    ----------
    spec : LearnerSpec
    input_shape : dict of str to tuple of int
        Shapes of the inputs by name; see `OffPolicyLearner`.
    normalization : dict of str to tuple of two ndarrays
        Mean and standard deviation of each input.
    total_steps : int, default=1000
        Updates of the whole training.

    Returns
    -------
    OffPolicyLearner
    """
    from sparkml_dist.reinforcement.networks.cloning import Cloning
    from sparkml_dist.reinforcement.networks.discrete import DiscreteQ
    from sparkml_dist.reinforcement.networks.implicit import ImplicitQ
    from sparkml_dist.reinforcement.networks.parts import Parts
    from sparkml_dist.reinforcement.networks.td3_bc import TD3BC

    kinds = {"bc": Cloning, "iql": ImplicitQ, "td3bc": TD3BC}
    parts = Parts(
        input_shape["state"][0],
        spec.hidden,
        normalization["state"],
        value_unit(normalization["reward"], normalization["discount"]),
        spec.categories,
    )
    return kinds.get(spec.algorithm, DiscreteQ)(spec, parts).ready(total_steps)


def value_unit(reward: tuple[Any, Any], discount: tuple[Any, Any]) -> float:
    """Return about the size of a return, from mean and deviation of rewards and discounts."""
    size = max(abs(float(reward[0][0])), float(reward[1][0]))
    return size / (1.0 - min(float(discount[0][0]), _LARGEST))
