"""How good a model is on each silo's rows, as sums that may be added up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from sparkml_dist.federated.strategies.train_work import sent_rows
from sparkml_dist.federated.training.flat_model import FlatModel, Floats
from sparkml_dist.federated.training.local_rows import LocalRows
from sparkml_dist.federated.training.model_of import model_of
from sparkml_dist.federated.work import Answer, Declaration, SiloWork

if TYPE_CHECKING:
    from sparkml_dist.federated.message import Message
    from sparkml_dist.federated.schema import FederatedSchema
    from sparkml_dist.federated.silo import Silo

__all__ = ["EvaluateWork", "PersonalWork", "metrics_of"]

#: What is added up of a classifier, and of a regression (in standardized units of the target).
_CLASS_SUMS, _NUMBER_SUMS = ("rows", "right", "loss"), ("rows", "square", "absolute", "y", "y2")


class EvaluateWork(SiloWork):
    """Sums of the losses and hits of a model on a silo's held-out rows, or training rows."""

    kind: ClassVar[str] = "evaluate"
    summable: ClassVar[bool] = True

    def declare(self, request: Message, schema: FederatedSchema) -> Declaration:
        """Return what the answer holds; see `SiloWork.declare`."""
        names = _NUMBER_SUMS if schema.label.is_regression else _CLASS_SUMS
        return Declaration({"sums": ("f8", (len(names),))})

    def answer(self, silo: Silo, request: Message) -> Answer:
        """Do the work in a silo; see `SiloWork.answer`."""
        model = model_of(request.facts["model"])
        rows = sent_rows(silo, request, model, held_out=request.facts["validation"] is not None)
        parameters = np.asarray(request.arrays["parameters"], np.float64)
        buffers = np.asarray(request.arrays.get("buffers", np.zeros(0)), np.float64)
        if request.facts["personal"]:
            own = silo.state.read("strategy", before=request.round) or {}
            if "personal" in own:
                parameters, buffers = own["personal"], own["buffers"]
        return Answer(arrays={"sums": _sums(model, parameters, buffers, rows)})


class PersonalWork(SiloWork):
    """Sends the silo's own model, which a strategy for personal models keeps in it."""

    kind: ClassVar[str] = "personal"

    def declare(self, request: Message, schema: FederatedSchema) -> Declaration:
        """Return what the answer holds; see `SiloWork.declare`."""
        model = model_of(request.facts["model"])
        return Declaration(
            {"personal": ("f8", (model.size,)), "buffers": ("f8", (model.buffer_size,))}
        )

    def answer(self, silo: Silo, request: Message) -> Answer:
        """Do the work in a silo; see `SiloWork.answer`."""
        own = silo.state.read("strategy", before=request.round) or {}
        return Answer(arrays={k: v for k, v in own.items() if k in ("personal", "buffers")})


def _sums(model: FlatModel, parameters: Floats, buffers: Floats, rows: LocalRows) -> Floats:
    width = len(_CLASS_SUMS if model.n_outputs else _NUMBER_SUMS)
    found = np.zeros(width)
    for X, y in rows.pieces():
        predicted = model.predict(parameters, buffers, X)
        if model.n_outputs:
            own = np.maximum(predicted[np.arange(len(y)), y], 1e-15)
            hits = (predicted.argmax(axis=1) == y).sum()
            found += [len(y), hits, -np.log(own).sum()]
        else:
            away = predicted - y
            found += [len(y), away @ away, np.abs(away).sum(), y.sum(), y @ y]
    return found


def metrics_of(sums: Floats, target: tuple[float, float]) -> dict[str, Any]:
    """Return metrics of sums.

    Parameters
    ----------
    sums : ndarray
        Of one silo, or added up over silos.
    target : tuple of two floats
        Mean and deviation of a regression's target.

    Returns
    -------
    dict
        ``rows``, and ``accuracy`` and ``logLoss``, or ``rmse``, ``mae`` and ``r2``.
    """
    n = float(sums[0])
    if not n:
        return {"rows": 0}
    if len(sums) == len(_CLASS_SUMS):
        return {"rows": int(n), "accuracy": sums[1] / n, "logLoss": sums[2] / n}
    _, square, absolute, total, squares = (float(v) for v in sums)
    spread = squares - total**2 / n
    found: Mapping[str, Any] = {
        "rows": int(n),
        "rmse": target[1] * (square / n) ** 0.5,
        "mae": target[1] * absolute / n,
        "r2": 1 - square / spread if spread > 0 else float("nan"),
    }
    return dict(found)
