"""The coordinator's loop: silos train, their updates are combined, the model is evaluated."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from sparkml_dist.dataset.subsets import Validation
from sparkml_dist.errors import ConfigurationError, TrainingError
from sparkml_dist.federated.strategies.aggregation.aggregation import Aggregation, Mean
from sparkml_dist.federated.strategies.evaluate_work import EvaluateWork, PersonalWork, metrics_of
from sparkml_dist.federated.strategies.participation import Participation
from sparkml_dist.federated.strategies.strategy import Arrays, RoundShare, Strategy
from sparkml_dist.federated.strategies.train_work import TrainWork
from sparkml_dist.federated.training.flat_model import FlatModel, Floats
from sparkml_dist.federated.training.local_training import LocalSettings
from sparkml_dist.federated.training.standardization import Standardization

if TYPE_CHECKING:
    from sparkml_dist.federated.federation import Federation
    from sparkml_dist.federated.sums import SumProtocol

__all__ = ["RoundSettings", "Trained", "train_rounds"]

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RoundSettings:
    """Settings of a federated training.

    Attributes
    ----------
    rounds : int
    local : LocalSettings
    weighting : {"rows", "equal"}
        Weights of the silos in the mean.
    participation : Participation
    aggregation : Aggregation
    minimum : int
        Fewest silos whose updates a round needs.
    validation : Validation, optional
        Rows that are held out for metrics.
    evaluate_every : int
        Rounds from one evaluation to the next, and after the last; 0 for none.
    secure : SumProtocol, optional
        Hides the updates of silos from the coordinator.
    ranges : dict of str to float, optional
        Largest absolute values of a silo's arrays, for such a protocol.
    seed : int
    """

    rounds: int = 20
    local: LocalSettings = field(default_factory=LocalSettings)
    weighting: str = "rows"
    participation: Participation = field(default_factory=Participation)
    aggregation: Aggregation = field(default_factory=Mean)
    minimum: int = 1
    validation: Validation | None = None
    evaluate_every: int = 1
    secure: SumProtocol | None = None
    ranges: dict[str, float] | None = None
    seed: int = 0

    def check(self, strategy: Strategy) -> None:
        """Raise for settings that cannot be, or not together.

        Raises
        ------
        ConfigurationError
            ``invalid_param``, ``conflicting_params``.
        """
        for name, value, least in (
            ("rounds", self.rounds, 1),
            ("minSilos", self.minimum, 1),
            ("evaluateEvery", self.evaluate_every, 0),
        ):
            if value < least:
                raise ConfigurationError(
                    "invalid_param", f"{name} must be >= {least}. Got {value}."
                )
        if self.weighting not in ("rows", "equal"):
            raise ConfigurationError(
                "invalid_param", f"weighting must be 'rows' or 'equal'. Got {self.weighting!r}."
            )
        self.local.check()
        self.participation.check()
        if isinstance(self.aggregation, Mean):
            return
        if not strategy.robust:
            raise ConfigurationError(
                "conflicting_params",
                f"The strategy {strategy.name!r} needs the mean of updates, not "
                f"{self.aggregation.name!r}.",
                "Take fedavg, fedavgm, fedprox, fedadam, fedyogi, fedadagrad or ditto.",
            )
        if self.secure is not None:
            raise ConfigurationError(
                "conflicting_params",
                f"The aggregation {self.aggregation.name!r} compares updates, which a secure sum "
                "hides.",
                "Give one of the two up; clipping in the silos goes with a secure sum.",
            )


@dataclass(frozen=True)
class Trained:
    """A model that a federation has trained.

    Attributes
    ----------
    model : FlatModel
    standardization : Standardization
    parameters, buffers : ndarray
    state : dict of str to ndarray
        Of the strategy at the coordinator.
    history : list of dict
        For each round ``round``, ``silos`` (whose updates are used), ``failed`` (error codes by
        silo), ``steps`` and ``loss`` (means over silos), and metrics of evaluations.
    silos : dict of str to dict
        Metrics of the last evaluation by silo; empty under a secure sum.
    personal : dict of str to (ndarray, ndarray)
        Parameters and buffers of silos' own models, where they were collected.
    """

    model: FlatModel
    standardization: Standardization
    parameters: Floats
    buffers: Floats
    state: Arrays
    history: list[dict[str, Any]]
    silos: dict[str, dict[str, Any]]
    personal: dict[str, tuple[Floats, Floats]]


class _Rounds:
    """One training."""

    def __init__(
        self,
        federation: Federation,
        model: FlatModel,
        strategy: Strategy,
        settings: RoundSettings,
        standardization: Standardization,
        n_rows: int,
    ) -> None:
        self.federation, self.model, self.strategy = federation, model, strategy
        self.settings, self.standardization = settings, standardization
        held = settings.validation
        rows = n_rows / len(federation.names) if settings.weighting == "rows" else 0.0
        self._facts: dict[str, Any] = {
            "model": model.to_dict(),
            "strategy": strategy.to_dict(),
            "local": settings.local.to_dict(),
            "target": list(standardization.target),
            "validation": None if held is None else [held.fraction, held.seed],
            "mean_rows": rows,
        }
        self._arrays = {"mean": standardization.mean, "deviation": standardization.deviation}

    def train(
        self, state: Arrays, buffers: Floats, silos: Sequence[str]
    ) -> tuple[Arrays, Floats, dict[str, Any]]:
        """Return state, buffers and the history's facts after a round."""
        arrays = {**self.strategy.sent(state), **self._arrays}
        arrays = {k: np.asarray(v, np.float64) for k, v in arrays.items()}
        if len(buffers):
            arrays["buffers"] = buffers
        mean, told = (
            self._mean(arrays, silos)
            if isinstance(self.settings.aggregation, Mean)
            else self._combined(arrays, silos)
        )
        weight = mean.pop("weight")
        if not weight:
            return state, buffers, told
        share = RoundShare(
            len(told["silos"]),
            len(self.federation.names),
            min(1.0, weight / len(self.federation.names)),
        )
        buffers = mean.pop("buffers", buffers)
        told["steps"], told["loss"] = (float(v) for v in mean.pop("told"))
        return self.strategy.update(state, mean, share), buffers, told

    def _mean(self, arrays: Arrays, silos: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the weighted means over silos, and their total weight as ``weight``."""
        found = self.federation.sum(
            TrainWork.kind,
            {**self._facts, "weighted": True},
            arrays,
            silos=silos,
            minimum=min(self.settings.minimum, len(silos)),
            secure=self.settings.secure,
            ranges=self.settings.ranges,
        )
        sums = dict(found.arrays)
        weight = float(sums.pop("weight")[0])
        mean: dict[str, Any] = {k: v / weight if weight else v for k, v in sums.items()}
        return {**mean, "weight": weight}, _told(found.silos, found.failed)

    def _combined(
        self, arrays: Arrays, silos: Sequence[str]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the updates combined by a robust rule, and the other arrays' means."""
        replies = self.federation.ask(
            TrainWork.kind,
            {**self._facts, "weighted": False},
            arrays,
            silos=silos,
            minimum=min(self.settings.minimum, len(silos)),
        )
        answers = {n: dict(a.arrays) for n, a in replies if a.arrays["weight"][0] > 0}
        told = _told(list(replies.names), replies.failed)
        if not answers:
            return {"weight": 0.0}, told
        weights = np.array([a["weight"][0] for a in answers.values()])
        names = [k for k in next(iter(answers.values())) if k != "weight"]
        stacked = {
            k: np.stack([np.asarray(a[k], np.float64) for a in answers.values()]) for k in names
        }
        mean: dict[str, Any] = {
            k: weights @ v / weights.sum() for k, v in stacked.items() if k != "delta"
        }
        mean["delta"] = self.settings.aggregation.combine(stacked["delta"], weights)
        if "buffers" in stacked:  # a silo that lies must not move these either
            mean["buffers"] = np.median(stacked["buffers"], axis=0)
        return {**mean, "weight": float(weights.sum())}, told

    def evaluate(
        self, parameters: Floats, buffers: Floats, *, personal: bool
    ) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """Return metrics of all silos together, and of each."""
        facts = {**self._facts, "personal": personal}
        arrays = {"parameters": parameters, **self._arrays}
        if len(buffers):
            arrays["buffers"] = buffers
        target = self.standardization.target
        if self.settings.secure is not None:
            found = self.federation.sum(
                EvaluateWork.kind, facts, arrays, secure=self.settings.secure
            )
            return metrics_of(found.arrays["sums"], target), {}
        replies = self.federation.ask(EvaluateWork.kind, facts, arrays)
        sums = {name: answer.arrays["sums"] for name, answer in replies}
        silos = {name: metrics_of(value, target) for name, value in sums.items()}
        pooled = metrics_of(np.sum(list(sums.values()), axis=0), target)
        name = "accuracy" if "accuracy" in pooled else "rmse"
        of_silos = [m[name] for m in silos.values() if name in m]
        if of_silos:
            worst = min(of_silos) if name == "accuracy" else max(of_silos)
            pooled["worstSilo"], pooled["siloDeviation"] = worst, float(np.std(of_silos))
        return pooled, silos

    def collected(self) -> dict[str, tuple[Floats, Floats]]:
        """Return the silos' own models."""
        replies = self.federation.ask(PersonalWork.kind, {"model": self._facts["model"]})
        return {
            name: (answer.arrays["personal"], answer.arrays["buffers"])
            for name, answer in replies
            if "personal" in answer.arrays
        }


def _told(silos: Sequence[str], failed: Any) -> dict[str, Any]:
    return {"silos": list(silos), "failed": {name: why.code for name, why in failed.items()}}


def train_rounds(
    federation: Federation,
    model: FlatModel,
    strategy: Strategy,
    settings: RoundSettings,
    standardization: Standardization,
    n_rows: int,
    *,
    start: tuple[Floats, Floats] | None = None,
    collect: bool = False,
) -> Trained:
    """Train a model in rounds.

    All that the coordinator makes of answers is a function of the answers, which the federation
    commits by round: a coordinator that is started again over the same folder comes to the same
    bits.

    Parameters
    ----------
    federation : Federation
    model : FlatModel
    strategy : Strategy
    settings : RoundSettings
    standardization : Standardization
    n_rows : int
        Training rows of all silos.
    start : tuple of two ndarrays, optional
        Parameters and buffers to begin with.
    collect : bool, default=False
        Whether silos' own models are asked for at the end.

    Raises
    ------
    ConfigurationError
        ``invalid_param``, ``conflicting_params``.
    TrainingError
        ``too_few_silos``, ``diverged``.
    """
    settings.check(strategy)
    strategy.check()
    settings.participation.check(len(federation.names))
    rng = np.random.Generator(np.random.PCG64(settings.seed % 2**32))
    parameters, buffers = start or (model.initial(rng), model.initial_buffers())
    rounds = _Rounds(federation, model, strategy, settings, standardization, n_rows)
    state = strategy.begin(np.asarray(parameters, np.float64), rng)
    buffers = np.asarray(buffers, np.float64)
    history: list[dict[str, Any]] = []
    silos: dict[str, dict[str, Any]] = {}
    for number in range(settings.rounds):
        chosen = settings.participation.drawn(federation.names, number)
        told: dict[str, Any] = {"silos": [], "failed": {}}
        if chosen:
            state, buffers, told = rounds.train(state, buffers, chosen)
        if not np.isfinite(state["parameters"]).all():
            raise TrainingError(
                "diverged",
                f"The common model is no longer finite after round {number}.",
                "Lower serverRate or learningRate.",
            )
        every, last = settings.evaluate_every, number + 1 == settings.rounds
        if every and (last or (number + 1) % every == 0):
            metrics, silos = rounds.evaluate(
                state["parameters"], buffers, personal=strategy.personal
            )
            told.update(metrics)
        history.append({"round": number, **told})
        _logger.debug("round %d: %s", number, told)
    personal = rounds.collected() if collect and strategy.personal else {}
    return Trained(
        model, standardization, state["parameters"], buffers, state, history, silos, personal
    )
