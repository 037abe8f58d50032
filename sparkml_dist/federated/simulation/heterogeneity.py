"""How much the silos of a federation differ: in their numbers of rows, labels and features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from sparkml_dist.federated.answer import Answer, Declaration
from sparkml_dist.federated.ensembles.blocks import dense
from sparkml_dist.federated.work import SiloWork

if TYPE_CHECKING:
    import pandas as pd

    from sparkml_dist.federated.federation import Federation
    from sparkml_dist.federated.message import Message
    from sparkml_dist.federated.schema import FederatedSchema
    from sparkml_dist.federated.silo import Silo

__all__ = ["Heterogeneity", "SiloProfileWork", "heterogeneity"]


class SiloProfileWork(SiloWork):
    """Counts a silo's rows by class, and sums up its features.

    The answer has ``rows`` (1,), ``classes`` (n_classes,), or ``target`` (2,) for a regression, and
    ``features``, shape (3, n_features): the number of values, their sums, and the sums of squares.
    """

    kind: ClassVar[str] = "silo_profile"

    def declare(self, request: Message, schema: FederatedSchema) -> Declaration:
        """Return the shape of the sums."""
        return Declaration(
            {
                "rows": ("f8", (1,)),
                "classes": ("f8", (schema.n_classes,)),
                "target": ("f8", (2,)),
                "features": ("f8", (3, schema.n_features)),
            }
        )

    def answer(self, silo: Silo, request: Message) -> Answer:
        """Sum up the silo's rows."""
        schema = silo.schema
        rows, features = 0, np.zeros((3, schema.n_features))
        classes, target = np.zeros(schema.n_classes), np.zeros(2)
        for block in silo.blocks():
            X = dense(block.X)
            known = np.nan_to_num(X, nan=0.0)
            features += [(~np.isnan(X)).sum(axis=0), known.sum(axis=0), (known**2).sum(axis=0)]
            rows += len(block)
            if schema.is_regression:
                target += [block.y.sum(), block.y @ block.y]
            else:
                classes += np.bincount(block.y, minlength=schema.n_classes)
        own = {"target": target} if schema.is_regression else {"classes": classes}
        return Answer(arrays={"rows": np.array([rows], np.float64), "features": features, **own})


@dataclass(frozen=True, eq=False)
class Heterogeneity:
    """How silos differ from all rows together.

    Attributes
    ----------
    table : pandas.DataFrame
        A row for each silo: ``rows``; ``label_distance``, the total variation between the classes
        of the silo and of all rows, from 0 to 1 (for a target: the difference of the means in
        standard deviations); ``js_divergence``, the Jensen-Shannon divergence of the classes in
        bits; ``feature_shift`` and ``largest_feature_shift``, mean and largest absolute difference
        of the features' means, in standard deviations of all rows.
    quantity_gini : float
        Inequality of the numbers of rows: 0 where all are equal.
    label_distance, feature_shift : float
        Means over the silos, weighted by their rows.
    """

    table: pd.DataFrame
    quantity_gini: float
    label_distance: float
    feature_shift: float

    def to_dict(self) -> dict[str, float]:
        """Return the numbers for all silos together."""
        return {
            "quantity_gini": self.quantity_gini,
            "label_distance": self.label_distance,
            "feature_shift": self.feature_shift,
        }


def heterogeneity(federation: Federation, *, minimum: int = 1) -> Heterogeneity:
    """Return how much silos differ, by one round of counts and sums.

    Parameters
    ----------
    federation : Federation
    minimum : int, default=1
        Silos that must answer.

    Returns
    -------
    Heterogeneity
    """
    import pandas as pd

    names: list[str] = []
    found: dict[str, list[npt.NDArray[np.float64]]] = {}
    for name, answer in federation.ask("silo_profile", minimum=minimum):
        names.append(name)
        for key, array in answer.arrays.items():
            found.setdefault(key, []).append(array)
    sums = {key: np.array(values) for key, values in found.items()}
    rows = sums["rows"][:, 0]
    shift = np.abs(_shifts(sums["features"]))
    table: dict[str, Any] = {"silo": names, "rows": rows.astype(np.int64)}
    if "classes" in sums:
        shares = _shares(sums["classes"])
        pooled = _shares(sums["classes"].sum(axis=0, keepdims=True))
        table["label_distance"] = np.abs(shares - pooled).sum(axis=1) / 2
        table["js_divergence"] = _divergence(shares, pooled)
    else:
        number = np.column_stack([rows, sums["target"]])[:, :, None]
        table["label_distance"] = np.abs(_shifts(number))[:, 0]
    table["feature_shift"] = shift.mean(axis=1)
    table["largest_feature_shift"] = shift.max(axis=1)
    total = rows.sum()
    weight = rows / total if total else np.full(len(rows), 1 / len(rows))
    return Heterogeneity(
        pd.DataFrame(table),
        _gini(rows),
        float(weight @ table["label_distance"]),
        float(weight @ table["feature_shift"]),
    )


def _shifts(sums: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return differences of means in standard deviations of all rows, shape (n_silos, n)."""
    count, total, squares = sums.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = total / count
        deviation = np.sqrt(np.maximum(squares / count - mean**2, 0.0))
        found = (sums[:, 1] / sums[:, 0] - mean) / deviation
    return np.nan_to_num(found, nan=0.0, posinf=0.0, neginf=0.0)


def _shares(counts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    total = counts.sum(axis=1, keepdims=True)
    return np.asarray(counts / np.where(total > 0, total, 1.0))


def _divergence(
    shares: npt.NDArray[np.float64], pooled: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    middle = (shares + pooled) / 2
    found = np.zeros(len(shares))
    for one in (shares, np.broadcast_to(pooled, shares.shape)):
        with np.errstate(divide="ignore", invalid="ignore"):
            parts = np.where(one > 0, one * np.log2(one / middle), 0.0)
        found += parts.sum(axis=1) / 2
    return found


def _gini(rows: npt.NDArray[np.float64]) -> float:
    ordered, n = np.sort(rows), len(rows)
    if not ordered.sum() > 0:
        return 0.0
    return float((2 * np.arange(1, n + 1) - n - 1) @ ordered / (n * ordered.sum()))
