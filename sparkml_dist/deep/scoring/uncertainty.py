"""Measures of an ensemble's predictive uncertainty and of its members' disagreement."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["MEASURES", "entropy", "uncertainty"]

#: Names of the columns of `uncertainty`.
MEASURES = ("entropy", "mutualInformation")


def entropy(probability: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Return the entropy, in nats, of distributions along the last axis."""
    p = np.asarray(probability, np.float64)
    logs = np.log(p, out=np.zeros_like(p), where=p > 0)
    total: npt.NDArray[np.float64] = -(p * logs).sum(axis=-1)
    return total


def uncertainty(members: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Return the predictive uncertainty of an ensemble.

    Parameters
    ----------
    members : ndarray of shape (n_members, n, n_classes)
        Class probabilities.

    Returns
    -------
    ndarray of shape (n, 2), in nats
        Entropy of the members' mean, the total uncertainty; and the mutual information of class
        and member, the part of it that more data could reduce: entropy of the mean minus the mean
        of the entropies. The latter is 0 if all members agree.

    References
    ----------
    Depeweg, Hernández-Lobato, Doshi-Velez, Udluft (2018), "Decomposition of uncertainty in
    Bayesian deep learning for efficient and risk-sensitive learning".
    """
    values = np.asarray(members, np.float64)
    whole = entropy(values.mean(axis=0))
    within = entropy(values).mean(axis=0)
    # Rounding must not make it negative.
    return np.stack([whole, np.maximum(whole - within, 0.0)], axis=1)
