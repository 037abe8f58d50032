"""Policies from logged transitions: tabular and deep Q-learning, bandits, evaluation off-policy."""

from sparkml_dist.reinforcement.deep_policy_model import DeepPolicyModel
from sparkml_dist.reinforcement.deep_q_learning import DeepQLearning
from sparkml_dist.reinforcement.fitted_q_iteration import FittedQIteration
from sparkml_dist.reinforcement.fitted_q_model import FittedQModel
from sparkml_dist.reinforcement.policy import EpsilonGreedy, Policy, Softmax, UniformPolicy
from sparkml_dist.reinforcement.policy_model import PolicyModel
from sparkml_dist.reinforcement.transition_block import TransitionBlock
from sparkml_dist.reinforcement.transition_dataset import TransitionDataset, open_transitions
from sparkml_dist.reinforcement.transitions import Transitions

__all__ = [
    "DeepPolicyModel",
    "DeepQLearning",
    "EpsilonGreedy",
    "FittedQIteration",
    "FittedQModel",
    "Policy",
    "PolicyModel",
    "Softmax",
    "TransitionBlock",
    "TransitionDataset",
    "Transitions",
    "UniformPolicy",
    "open_transitions",
]
