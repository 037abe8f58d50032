"""Federated learning: many owners, one model, no rows leave."""

from sparkml_dist.federated.ensembles.bagging_estimators import (
    FederatedBaggingClassifier,
    FederatedBaggingRegressor,
)
from sparkml_dist.federated.ensembles.boosting.estimators import (
    FederatedBoostingClassifier,
    FederatedBoostingRegressor,
)
from sparkml_dist.federated.ensembles.kmeans_estimator import FederatedKMeans
from sparkml_dist.federated.ensembles.naive_bayes_estimator import FederatedNaiveBayes
from sparkml_dist.federated.estimators.federated_classifier import FederatedClassifier
from sparkml_dist.federated.estimators.federated_model import (
    FederatedClassificationModel,
    FederatedRegressionModel,
)
from sparkml_dist.federated.estimators.federated_regressor import FederatedRegressor
from sparkml_dist.federated.estimators.fit_federated import fit_federated
from sparkml_dist.federated.federation import Federation
from sparkml_dist.federated.ledger import LedgerEntry
from sparkml_dist.federated.message import Message
from sparkml_dist.federated.policy import SiloPolicy
from sparkml_dist.federated.replies import Replies, SiloFailure
from sparkml_dist.federated.schema import FederatedSchema
from sparkml_dist.federated.silo import Silo
from sparkml_dist.federated.sums import Summed, SumProtocol
from sparkml_dist.federated.work import Answer, Declaration, SiloWork

__all__ = [
    "Answer",
    "Declaration",
    "FederatedBaggingClassifier",
    "FederatedBaggingRegressor",
    "FederatedBoostingClassifier",
    "FederatedBoostingRegressor",
    "FederatedClassificationModel",
    "FederatedClassifier",
    "FederatedKMeans",
    "FederatedNaiveBayes",
    "FederatedRegressionModel",
    "FederatedRegressor",
    "FederatedSchema",
    "Federation",
    "LedgerEntry",
    "Message",
    "Replies",
    "Silo",
    "SiloFailure",
    "SiloPolicy",
    "SiloWork",
    "SumProtocol",
    "Summed",
    "fit_federated",
]
