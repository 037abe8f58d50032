"""Deep Q-learning and its offline kin: networks that learn a policy from logged transitions."""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pyspark.ml.param import TypeConverters

from sparkml_dist.cluster.gang import check_gang
from sparkml_dist.cluster.gang_params import HasTimeouts
from sparkml_dist.cluster.shipping import shipped
from sparkml_dist.deep.input.plan import default_lanes
from sparkml_dist.deep.input.rows import TrainingRows
from sparkml_dist.deep.input.target import Target, TargetPart
from sparkml_dist.deep.input.training_job import TrainingJob
from sparkml_dist.deep.params.checkpoint_params import HasCheckpoints
from sparkml_dist.deep.params.checkpoint_settings import CHECKPOINTS
from sparkml_dist.deep.params.coupling_settings import CouplingSettings
from sparkml_dist.deep.training import REQUIRED, TrainingResult, train_network
from sparkml_dist.errors import ConfigurationError, nearest
from sparkml_dist.params import constructor, param, share_or_count
from sparkml_dist.persistence.checkpoints import CheckpointStore
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.model_folder import ModelFile
from sparkml_dist.reinforcement.deep_policy_model import DeepPolicyModel
from sparkml_dist.reinforcement.learning_rows import LearningRows, prepare_rows
from sparkml_dist.reinforcement.model_home import FitsIntoFolder
from sparkml_dist.reinforcement.networks.build import build_learner
from sparkml_dist.reinforcement.networks.spec import (
    ALGORITHMS,
    CONTINUOUS,
    DISCRETE,
    LearnerSpec,
)
from sparkml_dist.reinforcement.policy_estimator import PolicyEstimator
from sparkml_dist.reinforcement.transition_dataset import TransitionDataset

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["DeepQLearning"]

_logger = logging.getLogger(__name__)

_RESULT, _ROWS = "training.json", "rows"
#: Params with bounds: least value, largest value, whether both may be taken.
_BOUNDS: dict[str, tuple[float, float, bool]] = {
    "nSteps": (1, math.inf, True),
    "numRanks": (1, math.inf, True),
    "epochs": (1, math.inf, True),
    "batchSize": (1, math.inf, True),
    "learningRate": (0, math.inf, False),
    "alpha": (0, math.inf, True),
    "threshold": (0, 1, False),
    "expectile": (0, 1, False),
    "temperature": (0, math.inf, True),
}


class DeepQLearning(PolicyEstimator, FitsIntoFolder, HasCheckpoints, HasTimeouts):
    """Learns a policy with Keras networks, trained by ranks over the shards.

    The training is that of `KerasClassifier`: every transition is seen once in an epoch, ranks
    average their gradients, and a rank that is lost is replaced from the last checkpoint. What
    differs is the loss, which bootstraps on target networks.

    Parameters
    ----------
    algorithm : {"dqn", "cql", "bcq", "iql", "td3bc", "bc"}, default="cql"
        For a list of actions: deep Q-learning [1]_; conservative Q-learning, which lowers the
        values of actions that the log did not take [2]_; discrete batch-constrained Q-learning,
        which leaves out unlikely actions [3]_. For both kinds of actions: implicit Q-learning [4]_;
        behavior cloning. For actions that are numbers: TD3+BC [5]_.
    doubleQ : bool, default=True
        Whether the network chooses the best action, and the target network values it [6]_; for
        ``dqn``, ``cql`` and ``bcq``.
    dueling : bool, default=False
        Whether values are the sum of one for the state and advantages of the actions; for the same.
    nSteps : int, default=3
        Rewards that are added up before the value of a state follows. More steps pass rewards on
        faster, and hold on to the actions of the log for as long.
    alpha : float, optional
        Of ``cql`` the factor of the conservative term (1.0 by default; with 0.0 it is ``dqn``); of
        ``td3bc`` that of the values against the distance from the log (2.5). Values count in the
        unit of a typical return, so that rewards may have any unit.
    threshold : float, default=0.3
        Of ``bcq``: least probability of an action, relative to that of the likeliest one.
    expectile, temperature : float, default=0.7, 3.0
        Of ``iql``: expectile of the values of actions that values a state; factor of advantages in
        the weights of the policy's loss.
    targetUpdate : int or float, default=0.005
        Updates from one copy of the networks to the target networks to the next, or, as a float in
        (0, 1), the share by which these approach the networks at each update.
    hiddenUnits : sequence of int, default=(128, 128)
        Units of the hidden layers.
    learningRate : float, default=1e-3
        Of Adam.
    clipNorm : float, optional
        Largest norm of all gradients together.
    epochs : int, default=25
        Passes over the transitions.
    batchSize : int, default=32
        Rows of one step on each rank. Values need many small updates rather than few large ones.
    numRanks, checkpointEvery, maxRestarts, keepCheckpoints
        As for `KerasClassifier`.
    stallTimeout, silenceTimeout, slotTimeout, modelDir, overwrite, resume, seed
        As for `KerasClassifier`.
    discount : float, default=0.99
        Discount of future rewards, in [0, 1].
    episodeCol, stepCol, stateCols, actionCol, rewardCol, terminatedCol, truncatedCol, nextStateCols
        Columns of the log; see `Transitions`, which also makes transitions with actions that are
        numbers, for `fit`.
    behaviorProbCol, discountCol, weightCol, actions, gaps, numShards, memoryPerTask, shardsDir
        As for `Transitions`.
    qValuesCol, chosenActionCol, actionProbabilityCol
        Columns that the model adds.

    References
    ----------
    .. [1] Mnih et al. (2015), "Human-level control through deep reinforcement learning", Nature
       518.
    .. [2] Kumar, Zhou, Tucker, Levine (2020), "Conservative Q-learning for offline reinforcement
       learning", NeurIPS.
    .. [3] Fujimoto, Conti, Ghavamzadeh, Pineau (2019), "Benchmarking batch deep reinforcement
       learning algorithms", arXiv:1910.01708.
    .. [4] Kostrikov, Nair, Levine (2022), "Offline reinforcement learning with implicit
       Q-learning", ICLR.
    .. [5] Fujimoto, Gu (2021), "A minimalist approach to offline reinforcement learning", NeurIPS.
    .. [6] van Hasselt, Guez, Silver (2016), "Deep reinforcement learning with double Q-learning",
       AAAI.

    Examples
    --------
    >>> careful = DeepQLearning(
    ...     algorithm="cql", alpha=0.5, episodeCol="machine", stepCol="hour",
    ...     stateCols=["heat", "wear"], actionCol="repair", terminatedCol="broken",
    ... )
    >>> careful.getAlpha(), careful.getNSteps()
    (0.5, 3)
    """

    algorithm: Any = param(
        "algorithm", "'dqn', 'cql', 'bcq', 'iql', 'td3bc' or 'bc'", TypeConverters.toString
    )
    doubleQ: Any = param(
        "doubleQ",
        "whether the network chooses the best action and the target network values it",
        TypeConverters.toBoolean,
    )
    dueling: Any = param(
        "dueling",
        "whether values are the sum of one for the state and advantages of the actions",
        TypeConverters.toBoolean,
    )
    nSteps: Any = param(
        "nSteps",
        "rewards that are added up before the value of a state follows (>= 1)",
        TypeConverters.toInt,
    )
    alpha: Any = param(
        "alpha",
        "factor of cql's conservative term, or of the values in td3bc's policy (>= 0)",
        TypeConverters.toFloat,
    )
    threshold: Any = param(
        "threshold",
        "least probability of an action that bcq takes, relative to that of the likeliest one",
        TypeConverters.toFloat,
    )
    expectile: Any = param(
        "expectile",
        "expectile of the values of actions that values a state, of iql",
        TypeConverters.toFloat,
    )
    temperature: Any = param(
        "temperature",
        "factor of advantages in the weights of iql's policy (>= 0)",
        TypeConverters.toFloat,
    )
    targetUpdate: Any = param(
        "targetUpdate",
        "updates from one copy to the target networks to the next (int), or the share by which "
        "they approach the networks at each update (float below 1)",
        share_or_count,
    )
    hiddenUnits: Any = param("hiddenUnits", "units of the hidden layers", TypeConverters.toListInt)
    learningRate: Any = param("learningRate", "learning rate of Adam (> 0)", TypeConverters.toFloat)
    clipNorm: Any = param(
        "clipNorm", "largest norm of all gradients together (> 0)", TypeConverters.toFloat
    )
    numRanks: Any = param(
        "numRanks", "processes that train at the same time (>= 1)", TypeConverters.toInt
    )
    epochs: Any = param("epochs", "passes over the data (>= 1)", TypeConverters.toInt)
    batchSize: Any = param(
        "batchSize", "rows of one step on each rank (>= 1)", TypeConverters.toInt
    )

    @constructor
    def __init__(
        self,
        *,
        algorithm: str = "cql",
        doubleQ: bool = True,
        dueling: bool = False,
        nSteps: int = 3,
        alpha: float | None = None,
        threshold: float = 0.3,
        expectile: float = 0.7,
        temperature: float = 3.0,
        targetUpdate: float = 0.005,
        hiddenUnits: Sequence[int] = (128, 128),
        learningRate: float = 1e-3,
        clipNorm: float | None = None,
        epochs: int = 25,
        batchSize: int = 32,
        numRanks: int = 2,
        checkpointEvery: int = 0,
        maxRestarts: int = 2,
        keepCheckpoints: int = 0,
        stallTimeout: float = 600.0,
        silenceTimeout: float = 300.0,
        slotTimeout: float = 600.0,
        discount: float = 0.99,
        episodeCol: str | None = None,
        stepCol: str | None = None,
        stateCols: Sequence[str] | None = None,
        actionCol: str = "action",
        rewardCol: str = "reward",
        terminatedCol: str | None = None,
        truncatedCol: str | None = None,
        nextStateCols: Sequence[str] | None = None,
        behaviorProbCol: str | None = None,
        discountCol: str | None = None,
        weightCol: str | None = None,
        actions: Sequence[Any] | None = None,
        gaps: str = "error",
        numShards: int | None = None,
        memoryPerTask: str | None = None,
        shardsDir: str | None = None,
        modelDir: str | None = None,
        overwrite: bool = False,
        resume: bool = False,
        qValuesCol: str = "qValues",
        chosenActionCol: str = "action",
        actionProbabilityCol: str = "actionProbability",
        seed: int = 0,
    ) -> None: ...

    # -- before any job -------------------------------------------------------------------

    def _check(self, spark: SparkSession) -> None:
        algorithm = self.getOrDefault(self.algorithm)
        if algorithm not in ALGORITHMS:
            raise ConfigurationError(
                "invalid_param",
                f"algorithm must be one of {', '.join(map(repr, ALGORITHMS))}. "
                f"Got {algorithm!r}.{nearest(algorithm, ALGORITHMS)}",
            )
        for name, (least, most, closed) in _BOUNDS.items():
            value = self._value(self.getParam(name))
            if value is None:
                continue
            inside = least <= value <= most if closed else least < value < most
            if not (inside and math.isfinite(value)):
                signs = (">=", "<=") if closed else (">", "<")
                upper = f" and {signs[1]} {most:g}" if math.isfinite(most) else ""
                raise ConfigurationError(
                    "invalid_param", f"{name} must be {signs[0]} {least:g}{upper}. Got {value}."
                )
        update = self.getOrDefault(self.targetUpdate)
        if not (update >= 1 if isinstance(update, int) else 0 < update < 1):
            raise ConfigurationError(
                "invalid_param",
                f"targetUpdate must be an int >= 1, or a float > 0 and < 1. Got {update!r}.",
            )
        hidden = self.getOrDefault(self.hiddenUnits)
        if not hidden or min(hidden) < 1:
            raise ConfigurationError(
                "invalid_param", f"hiddenUnits must be one or more ints >= 1. Got {hidden!r}."
            )
        self._coupling()
        self._checkpoint_settings()
        self._check_model_dir()
        seconds = self._timeouts()["slot_timeout"]
        check_gang(spark, self.getOrDefault(self.numRanks), REQUIRED, slot_timeout=seconds)

    def _coupling(self) -> CouplingSettings:
        return CouplingSettings(clip_norm=self._value(self.clipNorm))

    def _check_transitions(self, data: TransitionDataset) -> None:
        algorithm = self.getOrDefault(self.algorithm)
        continuous = data.schema.action is None
        known = CONTINUOUS if continuous else DISCRETE
        if algorithm not in known:
            raise ConfigurationError(
                "continuous_actions" if continuous else "invalid_param",
                f"{algorithm!r} is not for actions that are "
                f"{'numbers' if continuous else 'of a list'}.",
                f"Use one of {', '.join(map(repr, known))}.",
            )
        if (
            self.isSet(self.nSteps)
            and self.getOrDefault(self.nSteps) > 1
            and ("episode" not in data.schema.columns)
        ):
            raise ConfigurationError(
                "conflicting_params",
                "nSteps adds up the rewards of an episode, but the log has single transitions.",
                "Leave nSteps unset, or name the columns of episode and step.",
            )

    def _plan(self, data: TransitionDataset) -> dict[str, Any]:
        names = (
            *("algorithm", "doubleQ", "dueling", "nSteps", "alpha", "threshold", "expectile"),
            *("temperature", "targetUpdate", "hiddenUnits", "learningRate", "clipNorm", "epochs"),
            *("batchSize", "discount", "seed"),
        )
        # Without the ranks: a training may resume with another number, and the same batches.
        return {
            "class": type(self).__name__,
            "data": data.data.manifest.content_sha256,
            **{name: self._value(self.getParam(name)) for name in names},
        }

    # -- the fit --------------------------------------------------------------------------

    def _fit_transitions(self, spark: SparkSession, data: TransitionDataset) -> DeepPolicyModel:
        self._check_transitions(data)
        with self._model_home(spark, self._plan(data)) as home:
            folder = home.content
            rows = prepare_rows(
                spark,
                data,
                folder.child(_ROWS),
                steps=self.getOrDefault(self.nSteps) if "episode" in data.schema.columns else 1,
                discount=self.getOrDefault(self.discount),
                seed=self.getOrDefault(self.seed) % 2**32,
            )
            spec = self._spec(data, rows)
            result = self._trained(spark, rows, spec, folder)
            model = self._model(data, folder, rows, spec, result)
            folder.child(_ROWS).delete()
            model._save_manifest(home)
        return model

    def _spec(self, data: TransitionDataset, rows: LearningRows) -> LearnerSpec:
        algorithm = self.getOrDefault(self.algorithm)
        alpha = self._value(self.alpha)
        counts = data.schema.state.category_counts()
        return LearnerSpec(
            algorithm=algorithm,
            n_actions=data.schema.n_actions,
            low=rows.low,
            high=rows.high,
            hidden=tuple(self.getOrDefault(self.hiddenUnits)),
            rate=self.getOrDefault(self.learningRate),
            target_update=self.getOrDefault(self.targetUpdate),
            double_q=self.getOrDefault(self.doubleQ),
            dueling=self.getOrDefault(self.dueling),
            alpha=(2.5 if algorithm == "td3bc" else 1.0) if alpha is None else alpha,
            threshold=self.getOrDefault(self.threshold),
            expectile=self.getOrDefault(self.expectile),
            temperature=self.getOrDefault(self.temperature),
            seed=self.getOrDefault(self.seed) % 2**31,
            categories=tuple(counts) if any(counts) else (),
        )

    def _trained(
        self, spark: SparkSession, rows: LearningRows, spec: LearnerSpec, folder: Folder
    ) -> TrainingResult:
        if folder.exists(_RESULT):
            _logger.info("the network in %s is trained already", folder.location)
            return TrainingResult(**folder.read_json(_RESULT))
        ranks = self.getOrDefault(self.numRanks)
        at_once = ranks * self.getOrDefault(self.batchSize)
        settings = self._checkpoint_settings()
        job = TrainingJob(
            rows=TrainingRows(rows.data),
            builder=shipped(functools.partial(build_learner, spec)),
            folder=folder,
            target=Target(0, tuple(TargetPart(name) for name in spec.terms)),
            inputs=rows.inputs,
            epochs=self.getOrDefault(self.epochs),
            batch_size=at_once,
            lanes=default_lanes(ranks, at_once),
            seed=self.getOrDefault(self.seed) % 2**32,
            coupling=self._coupling(),
            checkpoint=settings,
            part="predictor",
        )
        result = train_network(
            spark, job, ranks, description=type(self).__name__, **self._timeouts()
        )
        folder.write_json(_RESULT, asdict(result))
        CheckpointStore(folder.child(CHECKPOINTS)).prune(settings.keep)
        return result

    def _model(
        self,
        data: TransitionDataset,
        folder: Folder,
        rows: LearningRows,
        spec: LearnerSpec,
        result: TrainingResult,
    ) -> DeepPolicyModel:
        network = result.model
        return DeepPolicyModel(
            folder,
            data.schema.state,
            data.schema.action,
            [ModelFile(network["file"], network["bytes"], network["sha256"])],
            {
                "algorithm": spec.algorithm,
                "outputs": list(spec.outputs),
                "threshold": spec.threshold,
                "action_columns": list(data.schema.action_columns),
            },
            {
                "rows": rows.data.n_rows,
                "steps": result.steps,
                "parameters": network["parameters"],
                "seconds": result.seconds,
                "ranks": result.ranks,
                "history": result.history,
                "restarts": len(result.restarts),
                "restarted": result.restarts,
            },
        )
