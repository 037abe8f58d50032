"""The work of a silo in a round of training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from sparkml_dist.dataset.subsets import Validation
from sparkml_dist.errors import SparkMLDistError, TrainingError
from sparkml_dist.federated.privacy.noise import NoiseSource
from sparkml_dist.federated.privacy.record_privacy import RecordPrivacy
from sparkml_dist.federated.privacy.silo_budget import spend
from sparkml_dist.federated.privacy.silo_privacy import SiloPrivacy
from sparkml_dist.federated.strategies.local_round import LocalRound
from sparkml_dist.federated.strategies.strategy_of import strategy_of
from sparkml_dist.federated.training.flat_model import FlatModel
from sparkml_dist.federated.training.local_rows import LocalRows
from sparkml_dist.federated.training.local_training import LocalSettings
from sparkml_dist.federated.training.model_of import model_of
from sparkml_dist.federated.training.private_training import private_steps
from sparkml_dist.federated.training.standardization import Standardization
from sparkml_dist.federated.work import Answer, Declaration, SiloWork

if TYPE_CHECKING:
    from sparkml_dist.federated.message import Message
    from sparkml_dist.federated.schema import FederatedSchema
    from sparkml_dist.federated.silo import Silo

__all__ = ["MOST_LOSS", "MOST_STEPS", "TrainWork", "sent_rows"]

#: Larger numbers of steps and larger losses are told as these.
MOST_STEPS, MOST_LOSS = 2**20, 2.0**12


def sent_rows(
    silo: Silo, request: Message, model: FlatModel, *, held_out: bool = False
) -> LocalRows:
    """Return the silo's rows as a request says: standardized, and without held-out ones."""
    try:
        value = {
            "mean": request.arrays["mean"],
            "deviation": request.arrays["deviation"],
            "counts": silo.schema.features.category_counts(),
            "target": request.facts["target"],
        }
        standardization = Standardization.from_dict(value)
        held = request.facts["validation"]
        validation = None if held is None else Validation(float(held[0]), int(held[1]))
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(error) from error
    width = standardization.width if model.standardized else len(standardization.counts)
    if getattr(model, "width", width) != width:
        raise _damaged(f"the model takes {model.width} features, and rows have {width}")  # type: ignore[attr-defined]
    return LocalRows(
        silo,
        standardization,
        standardized=model.standardized,
        validation=validation,
        held_out=held_out,
    )


def _damaged(why: object) -> TrainingError:
    return TrainingError(
        "message_damaged",
        f"A request to train is wrong: {why}.",
        "The coordinator and the silos need the same version of sparkml_dist.",
    )


class TrainWork(SiloWork):
    """Trains on a silo's rows as a strategy has it.

    The answer holds the strategy's arrays times the silo's weight (or as they are, where rules
    other than the mean combine them), ``weight``, and ``steps`` and ``loss`` times the weight.
    """

    kind: ClassVar[str] = "train"
    summable: ClassVar[bool] = True

    def declare(self, request: Message, schema: FederatedSchema) -> Declaration:
        """Return what the answer holds; see `SiloWork.declare`."""
        facts, model = request.facts, model_of(request.facts["model"])
        shapes: dict[str, tuple[int, ...]] = strategy_of(facts["strategy"]).shapes(model.size)
        kind = "f4" if model.dtype == "float32" else "f8"
        arrays = {name: (kind, shape) for name, shape in shapes.items()}
        if _silo_privacy(request) is not None:
            arrays["bit"] = ("f8", (1,))
        if model.buffer_size:
            arrays["buffers"] = (kind, (model.buffer_size,))
        single = dict.fromkeys(("weight", "steps", "loss"), ("f8", (1,)))
        return Declaration({**arrays, **single})

    def answer(self, silo: Silo, request: Message) -> Answer:
        """Do the work in a silo; see `SiloWork.answer`."""
        facts = request.facts
        try:
            model, strategy = model_of(facts["model"]), strategy_of(facts["strategy"])
            settings = LocalSettings.from_dict(facts["local"])
            size = len(request.arrays["parameters"])
            rows = sent_rows(silo, request, model)
            mean_rows, weighted = float(facts["mean_rows"]), bool(facts["weighted"])
        except (KeyError, TypeError, ValueError) as error:
            raise _damaged(error) from error
        if size != model.size:
            raise _damaged(f"{size} parameters came for a model of {model.size}")
        n = rows.n_rows
        relative = n / mean_rows if mean_rows else float(n > 0)
        record, hiding = _record_privacy(request), _silo_privacy(request)
        epsilon = None
        if record is not None:
            event = record.event(private_steps(settings, record))
            epsilon = spend(silo, request, event, float(facts["delta"]))
        rng = silo.rng(request)
        # From the silo's secret, also where its other draws have a seed, which others may know.
        source = NoiseSource.of(silo, request)
        local = LocalRound(
            model, rows, settings, request, silo.state, rng, relative, record, source
        )
        with np.errstate(over="ignore", invalid="ignore"):
            arrays = dict(strategy.train(local)) if n else {}
        if not n:
            arrays = {name: np.zeros(s) for name, s in strategy.shapes(model.size).items()}
        if model.buffer_size:
            arrays["buffers"] = local.buffers
        weight = float(n > 0) if strategy.equal_mean else relative
        factor = weight if weighted else 1.0
        if hiding is not None:
            # All silos weigh the same, also one without rows, and tell nothing but the update.
            arrays, bit = hiding.clip(arrays, source, int(facts["noise_share"]))
            arrays["bit"], weight, factor = np.array([bit]), 1.0, 1.0
        sent: dict[str, Any] = {
            name: np.asarray(array * factor, np.float64 if name == "bit" else model.dtype)
            for name, array in arrays.items()
        }
        for name, array in sent.items():
            if not np.isfinite(array).all():
                raise _diverged(silo.name, name)
        told = factor * (hiding is None)
        # Bounded, so that a secure sum has a range for them: they are for people.
        sent["weight"] = np.array([weight])
        sent["steps"] = np.array([min(local.steps, MOST_STEPS) * told])
        sent["loss"] = np.array([min(local.loss, MOST_LOSS) * told if n else 0.0])
        return Answer(arrays=sent, epsilon=epsilon)


def _record_privacy(request: Message) -> RecordPrivacy | None:
    value = request.facts.get("record_privacy")
    return None if value is None else RecordPrivacy.from_dict(value)


def _silo_privacy(request: Message) -> SiloPrivacy | None:
    value = request.facts.get("silo_privacy")
    return None if value is None else SiloPrivacy.from_dict(value)


def _diverged(silo: str, name: str) -> SparkMLDistError:
    return TrainingError(
        "diverged",
        f"The training in the silo {silo!r} ended with values that are not finite ({name}).",
        "Lower learningRate, or clip; look for very large features.",
    )
