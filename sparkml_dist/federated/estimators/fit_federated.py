"""Trains a model over silos that are elsewhere."""

from __future__ import annotations

from typing import Any

from sparkml_dist.federated.estimators.federated_classifier import FederatedClassifier
from sparkml_dist.federated.estimators.federated_model import FederatedModel
from sparkml_dist.federated.estimators.federated_regressor import FederatedRegressor
from sparkml_dist.federated.federation import Federation

__all__ = ["fit_federated"]


def fit_federated(federation: Federation, **params: Any) -> FederatedModel:
    """Train one model over the silos of a federation, wherever they are.

    Parameters
    ----------
    federation : Federation
        In memory, of data sets, or of a `Coordinator`.
    params
        Params of `FederatedClassifier` or `FederatedRegressor`, by the silos' label; those about
        columns are not used. A federation with a folder, asked again for the same training, reads
        the rounds that it has committed.

    Returns
    -------
    FederatedClassificationModel or FederatedRegressionModel
        Its files are in ``modelDir``, or in a temporary folder of this machine.

    Raises
    ------
    ConfigurationError, DataError, TrainingError
        As for the estimators.

    Examples
    --------
    >>> from sparkml_dist.federated import Federation
    >>> rows = {"east": ([[0.0], [1.0]], [0, 1]), "west": ([[0.2], [0.9]], [0, 1])}
    >>> model = fit_federated(Federation.in_memory(rows), rounds=10, learningRate=1.0)
    >>> float(model.silos["accuracy"].min())
    1.0
    """
    kind: Any = FederatedRegressor if federation.schema.is_regression else FederatedClassifier
    estimator = kind(**params)
    with estimator._with_hint():
        found: FederatedModel = estimator._fit_federation(federation)
    return found
