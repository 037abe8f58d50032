"""Policies from logs: tabular and deep Q-learning, bandits, evaluation off-policy."""

from sparkml_dist.reinforcement.bandits.decisions import Decisions
from sparkml_dist.reinforcement.bandits.linear_bandit import LinearThompsonSampling, LinUCB
from sparkml_dist.reinforcement.bandits.linear_bandit_model import LinearBanditModel
from sparkml_dist.reinforcement.bandits.off_policy_bandit import OffPolicyBandit
from sparkml_dist.reinforcement.deep_policy_model import DeepPolicyModel
from sparkml_dist.reinforcement.deep_q_learning import DeepQLearning
from sparkml_dist.reinforcement.evaluation.compare import compare_policies
from sparkml_dist.reinforcement.evaluation.evaluate import evaluate_policy
from sparkml_dist.reinforcement.evaluation.propensities import estimate_propensities
from sparkml_dist.reinforcement.fitted_q_iteration import FittedQIteration
from sparkml_dist.reinforcement.fitted_q_model import FittedQModel
from sparkml_dist.reinforcement.live.explore import explore
from sparkml_dist.reinforcement.live.learn_live import learn_live
from sparkml_dist.reinforcement.minari import read_minari
from sparkml_dist.reinforcement.policy import EpsilonGreedy, Policy, Softmax, UniformPolicy
from sparkml_dist.reinforcement.tabular.batch_q_learning import BatchQLearning
from sparkml_dist.reinforcement.tabular.log_learners import (
    SARSA,
    DoubleQLearning,
    ExpectedSARSA,
    QLearning,
)
from sparkml_dist.reinforcement.tabular.q_table_model import QTableModel
from sparkml_dist.reinforcement.transition_block import TransitionBlock
from sparkml_dist.reinforcement.transition_dataset import TransitionDataset, open_transitions
from sparkml_dist.reinforcement.transitions import Transitions

__all__ = [
    "SARSA",
    "BatchQLearning",
    "Decisions",
    "DeepPolicyModel",
    "DeepQLearning",
    "DoubleQLearning",
    "EpsilonGreedy",
    "ExpectedSARSA",
    "FittedQIteration",
    "FittedQModel",
    "LinUCB",
    "LinearBanditModel",
    "LinearThompsonSampling",
    "OffPolicyBandit",
    "Policy",
    "QLearning",
    "QTableModel",
    "Softmax",
    "TransitionBlock",
    "TransitionDataset",
    "Transitions",
    "UniformPolicy",
    "compare_policies",
    "estimate_propensities",
    "evaluate_policy",
    "explore",
    "learn_live",
    "open_transitions",
    "read_minari",
]
