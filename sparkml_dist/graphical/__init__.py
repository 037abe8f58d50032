"""Bayesian networks: structures, parameters and inference, from counts over all rows."""

from __future__ import annotations

from sparkml_dist.graphical.classifier import (
    BayesianNetworkClassificationModel,
    BayesianNetworkClassifier,
)
from sparkml_dist.graphical.network_estimator import BayesianNetwork
from sparkml_dist.graphical.network_model import BayesianNetworkModel
from sparkml_dist.graphical.reading import read_network

__all__ = [
    "BayesianNetwork",
    "BayesianNetworkClassificationModel",
    "BayesianNetworkClassifier",
    "BayesianNetworkModel",
    "read_network",
]
