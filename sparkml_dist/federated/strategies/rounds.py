"""The coordinator's loop: silos train, their updates are combined, the model is evaluated."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from sparkml_dist.dataset.subsets import Validation
from sparkml_dist.errors import ConfigurationError, TrainingError
from sparkml_dist.federated.privacy.accountant import PrivacyAccountant
from sparkml_dist.federated.privacy.noise import NoiseSource
from sparkml_dist.federated.privacy.record_privacy import RecordPrivacy
from sparkml_dist.federated.privacy.secure_sum import SecureSum
from sparkml_dist.federated.privacy.silo_privacy import SiloPrivacy
from sparkml_dist.federated.strategies.aggregation.aggregation import Aggregation, Mean
from sparkml_dist.federated.strategies.evaluate_work import EvaluateWork, PersonalWork, metrics_of
from sparkml_dist.federated.strategies.participation import Participation
from sparkml_dist.federated.strategies.strategy import Arrays, RoundShare, Strategy
from sparkml_dist.federated.strategies.train_work import MOST_LOSS, MOST_STEPS, TrainWork
from sparkml_dist.federated.training.flat_model import FlatModel, Floats
from sparkml_dist.federated.training.local_training import LocalSettings
from sparkml_dist.federated.training.private_training import private_steps
from sparkml_dist.federated.training.standardization import Standardization

if TYPE_CHECKING:
    from sparkml_dist.federated.federation import Federation
    from sparkml_dist.federated.sums import SumProtocol

__all__ = ["RoundSettings", "Trained", "train_rounds"]

_logger = logging.getLogger(__name__)

_LEAST_SECURE = 3
# Most of a silo's sums of losses and squares over its rows: exact to 1e-5 for ten silos.
_MOST_SUM = 2.0**40


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
    privacy : RecordPrivacy or SiloPrivacy, optional
        What the silos' updates hide. Nothing else of the rows leaves then: no moments, metrics or
        losses.
    accountant : PrivacyAccountant, optional
        Counts the rounds; the training ends before one that exceeds its budget.
    noise_key : bytes, optional
        Secret of the coordinator's noise: a run that is started again needs the same. New by
        default.
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
    privacy: RecordPrivacy | SiloPrivacy | None = None
    accountant: PrivacyAccountant | None = None
    noise_key: bytes | None = None
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
        if self.privacy is not None:
            self._check_privacy(strategy)
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

    def _check_privacy(self, strategy: Strategy) -> None:
        hides_silos = isinstance(self.privacy, SiloPrivacy)
        against = {
            "evaluateEvery > 0, whose metrics are without noise": self.evaluate_every > 0,
            f"the strategy {strategy.name!r}": strategy.personal
            or (hides_silos and not strategy.robust),
            f"aggregation={self.aggregation.name!r}": not isinstance(self.aggregation, Mean),
            "weighting='rows'": hides_silos and self.weighting == "rows",
            "a number of silos in participation; a probability is what is accounted": hides_silos
            and isinstance(self.participation.silos, int),
        }
        wrong = [what for what, is_so in against.items() if is_so]
        if wrong:
            raise ConfigurationError(
                "conflicting_params",
                f"Differential privacy does not go with {'; nor with '.join(wrong)}.",
                "Change these, or leave noiseMultiplier out.",
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
        For each round ``round``, ``silos`` (whose updates are used) and ``failed`` (error codes by
        silo), both empty with privacy of silos, ``steps`` and ``loss`` (means over silos), and
        metrics of evaluations.
    epsilon : float or None
        Privacy loss at the accountant's delta.
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
    epsilon: float | None = None


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
        self._noise: NoiseSource | None = None
        #: Fewer silos than these have no round: a secure sum would not hide them.
        self.least = 1 if settings.secure is None else _LEAST_SECURE
        privacy, accountant = settings.privacy, settings.accountant
        if isinstance(privacy, RecordPrivacy):
            self._facts["record_privacy"] = privacy.to_dict()
            self._facts["delta"] = 1e-5 if accountant is None else accountant.delta
        elif privacy is not None:
            privacy = privacy.of(len(federation.names))
            key = settings.noise_key or secrets.token_bytes(32)
            self._sampling, self._alone = NoiseSource(key + b"silos"), NoiseSource(key + b"alone")
            # Under a secure sum, silos add the noise, so that the coordinator sees none without.
            self._noise = NoiseSource(key + b"noise") if settings.secure is None else None
        self.privacy = privacy
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
        if isinstance(self.privacy, SiloPrivacy):
            bits = float(mean.pop("bit")[0]) * weight
            sums = {"delta": mean["delta"] * weight}
            mean |= self.privacy.mean(sums, self._noise)
            self.privacy = self.privacy.next(bits, self._noise)
        share = RoundShare(
            len(told["silos"]),
            len(self.federation.names),
            min(1.0, weight / len(self.federation.names)),
        )
        buffers = mean.pop("buffers", buffers)
        told["steps"], told["loss"] = (float(mean.pop(k)[0]) for k in ("steps", "loss"))
        if isinstance(self.privacy, SiloPrivacy):
            told |= {"silos": [], "failed": {}}  # who took part is what the accountant hides
        return self.strategy.update(state, mean, share), buffers, told

    def _mean(self, arrays: Arrays, silos: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the weighted means over silos, and their total weight as ``weight``."""
        facts = {**self._facts, "weighted": True}
        if isinstance(self.privacy, SiloPrivacy):
            share = _threshold(self.settings.secure, len(silos))
            facts |= {"silo_privacy": self.privacy.to_dict(), "noise_share": share}
        found = self.federation.sum(
            TrainWork.kind,
            facts,
            arrays,
            silos=silos,
            minimum=min(self.settings.minimum, len(silos)),
            secure=self.settings.secure,
            ranges=self._ranges(),
        )
        sums = dict(found.arrays)
        weight = float(sums.pop("weight")[0])
        mean: dict[str, Any] = {k: v / weight if weight else v for k, v in sums.items()}
        return {**mean, "weight": weight}, _told(found.silos, found.failed)

    def _ranges(self) -> dict[str, float]:
        """Return the most of a silo's weight, and of what it tells beside its update."""
        most = float(len(self.federation.names))  # the weight of a silo that has all rows
        told = {"weight": most, "steps": MOST_STEPS * most, "loss": MOST_LOSS * most}
        return {**told, **(self.settings.ranges or {})}

    def drawn(self, number: int) -> list[str]:
        """Return the silos of a round.

        With privacy of silos they are drawn from a secret: the loss that is counted holds for those
        who do not know who took part.
        """
        names = self.federation.names
        if isinstance(self.privacy, SiloPrivacy):
            return self.privacy.choose(names, self._sampling)
        return self.settings.participation.drawn(names, number)

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

    def without_silos(self, state: Arrays) -> Arrays:
        """Return the state after a round in which no silo took part: its noise is added still."""
        assert isinstance(self.privacy, SiloPrivacy)
        shapes = self.strategy.shapes(self.model.size)
        zeros = {name: np.zeros(shape) for name, shape in shapes.items()}
        mean = self.privacy.mean(zeros, self._noise or self._alone)
        return self.strategy.update(state, mean, RoundShare(0, len(self.federation.names), 0.0))

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
            secure = self.settings.secure
            if isinstance(secure, SecureSum):  # sums over rows, which no range of updates holds
                secure = SecureSum(secure.threshold, range=_MOST_SUM, bits=64)
            found = self.federation.sum(EvaluateWork.kind, facts, arrays, secure=secure)
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

    def spend(self, number: int, silos: Sequence[str]) -> bool:
        """Count a round before it happens; return False where the budget does not allow it."""
        settings, accountant = self.settings, self.settings.accountant
        if accountant is None or self.privacy is None:
            return True
        if isinstance(self.privacy, RecordPrivacy):
            event = self.privacy.event(private_steps(settings.local, self.privacy))
            names: Sequence[str] | None = silos
        else:
            event, names = self.privacy.event(), None
        budget = accountant.budget
        if number and budget is not None and accountant.epsilon_after(event, names) > budget:
            _logger.warning("the privacy budget ends the training before round %d", number)
            return False
        accountant.spend(event, names)
        self.federation.note_epsilon(accountant.epsilon)
        return True

    def collected(self) -> dict[str, tuple[Floats, Floats]]:
        """Return the silos' own models."""
        replies = self.federation.ask(PersonalWork.kind, {"model": self._facts["model"]})
        return {
            name: (answer.arrays["personal"], answer.arrays["buffers"])
            for name, answer in replies
            if "personal" in answer.arrays
        }


def _threshold(secure: SumProtocol | None, silos: int) -> int:
    """Return how many silos a secure sum has at least; 0 without one."""
    return secure.threshold_of(silos) if isinstance(secure, SecureSum) else 0


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
        chosen = rounds.drawn(number)
        told: dict[str, Any] = {"silos": [], "failed": {}}
        if not rounds.spend(number, chosen):
            break
        if len(chosen) < rounds.least:
            chosen = []
        if chosen:
            state, buffers, told = rounds.train(state, buffers, chosen)
        elif isinstance(rounds.privacy, SiloPrivacy):
            state = rounds.without_silos(state)
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
        model,
        standardization,
        state["parameters"],
        buffers,
        state,
        history,
        silos,
        personal,
        None if settings.accountant is None else settings.accountant.epsilon,
    )
