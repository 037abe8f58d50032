"""The round that finds the means and deviations of features over all silos."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from sparkml_dist.dataset.subsets import Validation
from sparkml_dist.errors import DataError
from sparkml_dist.federated.training.standardization import Standardization
from sparkml_dist.federated.work import Answer, Declaration, SiloWork
from sparkml_dist.kernels.scaling import dense

if TYPE_CHECKING:
    from sparkml_dist.federated.federation import Federation
    from sparkml_dist.federated.message import Message
    from sparkml_dist.federated.schema import FederatedSchema
    from sparkml_dist.federated.silo import Silo

__all__ = ["MomentsWork", "find_standardization"]


class MomentsWork(SiloWork):
    """Sums of each feature's and the label's known values about a centre, and of their squares."""

    kind: ClassVar[str] = "training_moments"
    summable: ClassVar[bool] = True

    def declare(self, request: Message, schema: FederatedSchema) -> Declaration:
        """Return what the answer holds; see `SiloWork.declare`."""
        shape = (schema.features.n_features + 1,)
        return Declaration({"number": ("f8", shape), "sum": ("f8", shape), "square": ("f8", shape)})

    def answer(self, silo: Silo, request: Message) -> Answer:
        """Do the work in a silo; see `SiloWork.answer`."""
        center, held = request.arrays["center"], request.facts["validation"]
        validation = None if held is None else Validation(float(held[0]), int(held[1]))
        found = {name: np.zeros(len(center)) for name in ("number", "sum", "square")}
        for block in silo.blocks():
            rows = np.column_stack([dense(block.X), np.asarray(block.y, np.float64)]) - center
            if validation is not None:
                rows = rows[~validation.mask(block.key)]
            known = ~np.isnan(rows)
            rows[~known] = 0.0
            found["number"] += known.sum(axis=0)
            found["sum"] += rows.sum(axis=0)
            found["square"] += np.einsum("ij,ij->j", rows, rows)
        return Answer(arrays=found)


def find_standardization(
    federation: Federation, validation: Validation | None = None, **options: Any
) -> tuple[Standardization, int]:
    """Return the means and deviations over all silos, in two rounds of sums, and the rows.

    The second round adds up squares about the mean of the first, so that no digits are lost.

    Parameters
    ----------
    federation : Federation
    validation : Validation, optional
        Rows that are left out.
    options
        Of `Federation.sum`, such as ``secure``.

    Raises
    ------
    DataError
        ``empty_data``.
    """
    schema = federation.schema
    facts = {"validation": None if validation is None else [validation.fraction, validation.seed]}
    center = np.zeros(schema.features.n_features + 1)
    first = federation.sum(MomentsWork.kind, facts, {"center": center}, **options).arrays
    if not first["number"].any():
        raise DataError(
            "empty_data", "No silo has any rows.", "Check the path and filters of each silo."
        )
    mean = first["sum"] / np.maximum(first["number"], 1)
    second = federation.sum(MomentsWork.kind, facts, {"center": mean}, **options).arrays
    found = Standardization.of_moments(
        first["number"],
        mean,
        second["square"],
        schema.features.category_counts(),
        regression=schema.label.is_regression,
    )
    return found, round(float(first["number"][-1]))
