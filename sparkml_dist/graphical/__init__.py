"""Bayesian networks: structures, parameters and inference, from counts over all rows."""

from __future__ import annotations

from sparkml_dist.graphical.classifier import (
    BayesianNetworkClassificationModel,
    BayesianNetworkClassifier,
)
from sparkml_dist.graphical.gaussian.gaussian_model import GaussianNetworkModel
from sparkml_dist.graphical.gaussian.gaussian_network import GaussianNetwork
from sparkml_dist.graphical.network_estimator import BayesianNetwork
from sparkml_dist.graphical.network_model import BayesianNetworkModel
from sparkml_dist.graphical.reading import read_network

__all__ = [
    "BayesianNetwork",
    "BayesianNetworkClassificationModel",
    "BayesianNetworkClassifier",
    "BayesianNetworkModel",
    "GaussianNetwork",
    "GaussianNetworkModel",
    "read_network",
]
