"""Fitted Q iteration: values of actions by any scikit-learn regressor, on shards of any size."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pyspark.ml.param import TypeConverters

from sparkml_dist.cluster.tasks import run_tasks
from sparkml_dist.cluster.workers import check_workers
from sparkml_dist.dataset.schema import FeatureColumn, FeatureSchema
from sparkml_dist.dataset.sizing import DEFAULT_MEMORY_PER_TASK
from sparkml_dist.dataset.subsets import Validation
from sparkml_dist.errors import ConfigurationError, DataError, TrainingError
from sparkml_dist.learners.fitting import RECORD
from sparkml_dist.learners.known_learner import KnownLearner
from sparkml_dist.learners.learner import modules_of, refuse_unusable
from sparkml_dist.members.engine import member_files
from sparkml_dist.members.learner_params import learner_plan
from sparkml_dist.models.loading import Saved
from sparkml_dist.params import constructor, param
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.learners import dump_learner, load_learner
from sparkml_dist.persistence.model_folder import ModelFile
from sparkml_dist.reinforcement.action_values import ActionValues, members_of
from sparkml_dist.reinforcement.fitted_iteration import IterationTask
from sparkml_dist.reinforcement.fitted_q_model import FittedQModel
from sparkml_dist.reinforcement.model_home import FitsIntoFolder
from sparkml_dist.reinforcement.policy_estimator import PolicyEstimator
from sparkml_dist.reinforcement.transition_dataset import TransitionDataset
from sparkml_dist.session import SessionInfo, trusted_in_session
from sparkml_dist.sizes import parse_size

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["FittedQIteration"]

_logger = logging.getLogger(__name__)

_DONE = "iterations.json"


class FittedQIteration(PolicyEstimator, FitsIntoFolder):
    """Learns the values of actions by repeated regression [1]_.

    An iteration fits a regressor on each shard, in a task of its own, to the targets reward +
    discount · (value of the best action in the next state), with values of the iteration before.
    Tasks compute the targets from the stored regressors; nothing passes through the driver. The
    value of an action is the mean over the regressors of all shards. Every iteration is committed:
    a fit that ended early resumes with ``modelDir`` and ``resume=True``.

    Parameters
    ----------
    estimator : scikit-learn regressor, optional
        By default ``ExtraTreesRegressor`` with 50 trees, as in [1]_, and 10 rows or more in a leaf.
    perAction : bool, default=False
        Whether each action has a regressor of its own, instead of one that gets the action as
        further features, an indicator of each.
    doubleQ : bool, default=False
        Whether two halves of the episodes have regressors of their own; one half chooses the best
        action and the other one values it, against over-estimation.
    advantage : float, default=0.0
        Advantage learning [2]_: how much of the distance between the best action of the row's state
        and its own action is subtracted from the target, in [0, 1). The value of the best action
        stays, and other actions fall to 1 / (1 - advantage) times their distance from it, so that
        errors of the regressors change the order of actions less often: for short steps, of which
        a single one changes the return little. 0.9 in [2]_; 0 is fitted Q iteration.
    maxIter : int, default=50
        Most iterations; the values look as many steps ahead.
    validationFraction : float, default=0.1
        Share of the episodes, chosen by a hash, that is held out to compute the Bellman residual:
        the root mean square of target − value, over that of the targets.
    tol : float, default=0.001
        Least decrease of the residual that counts.
    patience : int, default=10
        Iterations without such a decrease after which the fit ends; without held-out episodes it
        ends after `maxIter`.
    discount : float, default=0.99
        Discount of future rewards, in [0, 1].
    episodeCol, stepCol, stateCols, actionCol, rewardCol, terminatedCol, truncatedCol, nextStateCols
        Columns of the log; see `Transitions`.
    behaviorProbCol, discountCol, weightCol, actions, gaps
        As for `Transitions`. Where transitions have available actions, the best one is among these.
    numShards, memoryPerTask, shardsDir
        How `fit` cuts a log; ``memoryPerTask`` also bounds the regressors in memory at once.
    modelDir, overwrite, resume, trustedTypes, seed
        As for `BaggingRegressor`.
    qValuesCol, chosenActionCol, actionProbabilityCol
        Columns that the model adds.

    References
    ----------
    .. [1] Ernst, Geurts, Wehenkel (2005), "Tree-based batch mode reinforcement learning", Journal
       of Machine Learning Research 6.
    .. [2] Bellemare, Ostrovski, Guez, Thomas, Munos (2016), "Increasing the action gap: new
       operators for reinforcement learning", AAAI.

    Examples
    --------
    >>> from sklearn.tree import DecisionTreeRegressor
    >>> log = spark.createDataFrame(
    ...     [(0, 0, 5.0, "run", 1.0, False), (0, 1, 9.0, "run", -9.0, True),
    ...      (1, 0, 5.0, "run", 1.0, False), (1, 1, 9.0, "rest", 0.0, True)],
    ...     "day int, hour int, heat double, action string, reward double, over boolean",
    ... )
    >>> model = FittedQIteration(
    ...     estimator=DecisionTreeRegressor(), perAction=True, validationFraction=0.0, maxIter=3,
    ...     episodeCol="day", stepCol="hour", stateCols=["heat"], terminatedCol="over",
    ...     numShards=1,
    ... ).fit(log)
    >>> model.act([9.0]), model.act([5.0])
    ('rest', 'run')
    """

    estimator: Any = param("estimator", "scikit-learn regressor of the values")
    perAction: Any = param(
        "perAction", "whether each action has a regressor of its own", TypeConverters.toBoolean
    )
    doubleQ: Any = param(
        "doubleQ",
        "whether one half of the episodes chooses the best action and the other one values it",
        TypeConverters.toBoolean,
    )
    advantage: Any = param(
        "advantage",
        "share of the distance to the best action that is subtracted from targets (>= 0, < 1)",
        TypeConverters.toFloat,
    )
    maxIter: Any = param("maxIter", "most iterations (>= 1)", TypeConverters.toInt)
    validationFraction: Any = param(
        "validationFraction",
        "share of the episodes that is held out for the Bellman residual (>= 0, < 1)",
        TypeConverters.toFloat,
    )
    tol: Any = param(
        "tol", "least decrease of the residual that counts (>= 0)", TypeConverters.toFloat
    )
    patience: Any = param(
        "patience",
        "iterations without such a decrease after which the fit ends (>= 1)",
        TypeConverters.toInt,
    )
    trustedTypes: Any = param(
        "trustedTypes",
        "dotted names of types that members may contain in addition to the allow-list",
        TypeConverters.toListString,
    )

    _object_params: ClassVar[tuple[str, ...]] = ("estimator",)

    @constructor
    def __init__(
        self,
        *,
        estimator: Any = None,
        perAction: bool = False,
        doubleQ: bool = False,
        advantage: float = 0.0,
        maxIter: int = 50,
        validationFraction: float = 0.1,
        tol: float = 0.001,
        patience: int = 10,
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
        trustedTypes: Sequence[str] = (),
        qValuesCol: str = "qValues",
        chosenActionCol: str = "action",
        actionProbabilityCol: str = "actionProbability",
        seed: int = 0,
    ) -> None: ...

    # -- before any job -------------------------------------------------------------------

    def _learner(self) -> Any:
        if self.isSet(self.estimator):
            return self.getOrDefault(self.estimator)
        from sklearn.ensemble import ExtraTreesRegressor

        return ExtraTreesRegressor(n_estimators=50, min_samples_leaf=10)

    def _trusted(self) -> tuple[str, ...]:
        return (*self.getOrDefault(self.trustedTypes), *trusted_in_session())

    def _check(self, spark: SparkSession) -> None:
        refuse_unusable(self._learner(), voting="mean", task="regression")
        for name, least in (("maxIter", 1), ("patience", 1), ("tol", 0)):
            value = self.getOrDefault(self.getParam(name))
            if not (math.isfinite(value) and value >= least):
                raise ConfigurationError(
                    "invalid_param", f"{name} must be a finite number >= {least}. Got {value}."
                )
        for name in ("validationFraction", "advantage"):
            value = self.getOrDefault(self.getParam(name))
            if not 0 <= value < 1:
                raise ConfigurationError(
                    "invalid_param", f"{name} must be >= 0 and < 1. Got {value}."
                )
        self._check_model_dir()
        check_workers(spark, sorted(modules_of(self._learner())))

    def _check_transitions(self, data: TransitionDataset, learner: KnownLearner) -> None:
        if data.schema.action is None:
            raise ConfigurationError(
                "continuous_actions",
                "FittedQIteration chooses among a list of actions, but these are numbers.",
                "Round them to a few levels, or use DeepQLearning with 'iql' or 'td3bc'.",
            )
        if data.data.manifest.weight and learner.traits.weight_parameter is None:
            raise ConfigurationError(
                "conflicting_params",
                f"The log has weights, but {learner.traits.name} does not accept any.",
                "Leave weightCol unset, or use a regressor whose fit takes sample_weight.",
            )

    def _known(self, data: TransitionDataset) -> KnownLearner:
        """Return the regressor, with the features that it gets."""
        columns = data.schema.state.columns
        if not self.getOrDefault(self.perAction):
            flags = (FeatureColumn(f"action={a}", "numeric") for a in data.actions)
            columns = (*columns, *flags)
        return KnownLearner.of(self._learner(), FeatureSchema.build(columns, sparse=False))

    def _plan(self, data: TransitionDataset) -> dict[str, Any]:
        names = (
            *("perAction", "doubleQ", "maxIter", "validationFraction", "tol", "patience"),
            *("advantage", "discount", "seed"),
        )
        return {
            "class": type(self).__name__,
            "data": data.data.manifest.content_sha256,
            "learner": learner_plan(self._learner()),
            **{n: self.getOrDefault(self.getParam(n)) for n in names},
        }

    # -- the fit --------------------------------------------------------------------------

    def _fit_transitions(self, spark: SparkSession, data: TransitionDataset) -> FittedQModel:
        learner = self._known(data)
        self._check_transitions(data, learner)
        with self._model_home(spark, self._plan(data)) as home:
            run = _Run.read(home.content)
            while not self._ends(run):
                self._iterate(spark, data, learner, home.content, run)
            model = self._model(data, home.content, run)
            model._save_manifest(home)
        return model

    def _ends(self, run: _Run) -> bool:
        """Tell whether the last iteration was reached, or the residual no longer decreases."""
        if run.iterations >= self.getOrDefault(self.maxIter):
            return True
        best, missed = math.inf, 0
        for residual in run.residuals:
            missed += 1
            if residual < best - self.getOrDefault(self.tol):
                best, missed = residual, 0
        return missed >= self.getOrDefault(self.patience)

    def _iterate(
        self,
        spark: SparkSession,
        data: TransitionDataset,
        learner: KnownLearner,
        folder: Folder,
        run: _Run,
    ) -> None:
        number, fraction = run.iterations, self.getOrDefault(self.validationFraction)
        home = folder.child(_folder_of(number))
        home.create()
        seed = self.getOrDefault(self.seed)
        task = IterationTask(
            data,
            home,
            learner,
            self._values(data, folder, run) if number else None,
            self.getOrDefault(self.discount),
            self.getOrDefault(self.perAction),
            2 if self.getOrDefault(self.doubleQ) else 1,
            Validation(fraction, seed) if fraction else None,
            number,
            seed,
            SessionInfo.of(spark).task_cpus,
            self._trusted(),
            self.getOrDefault(self.advantage),
        )
        outcomes = run_tasks(
            spark, range(task.tasks), task, description=f"fitted Q iteration {number + 1}"
        )
        for outcome in outcomes:
            if outcome.error is None:
                continue
            if outcome.error.code != "task_failed":
                raise outcome.error
            raise TrainingError(
                "member_failed",
                f"Iteration {number + 1} failed on shard {outcome.index // task.halves}: "
                f"{outcome.error.message}",
                "What is committed stays: fit again with modelDir and resume=True.",
            )
        notes = [o.result for o in outcomes]
        records = [record for note in notes for record in note["members"]]
        if not records:
            raise DataError(
                "no_training_rows",
                "No transition is left to learn from: none has a next state or ends its episode, "
                "or all of them are held out.",
                "Mark ends in terminatedCol, give nextStateCols, or lower validationFraction.",
            )
        sums = [sum(column) for column in zip(*(n["residual"] for n in notes), strict=True)]
        if sums[0] > 0:
            run.residuals.append(math.sqrt(sums[1] / sums[2]) if sums[2] else 0.0)
            _logger.info("iteration %d: Bellman residual %.5f", number, run.residuals[-1])
        run.rows, run.records, run.iterations = sum(n["rows"] for n in notes), records, number + 1
        run.write(folder)
        if number > 0:
            folder.child(_folder_of(number - 1)).delete()

    def _values(self, data: TransitionDataset, folder: Folder, run: _Run) -> ActionValues:
        """Return the regressors of the last iteration."""
        memory = self._value(self.memoryPerTask) or DEFAULT_MEMORY_PER_TASK
        return ActionValues(
            folder.child(_folder_of(run.iterations - 1)),
            members_of(run.records),
            data.schema.n_actions,
            tuple(data.schema.state.feature_names),
            self._trusted(),
            parse_size(memory, "memoryPerTask") // 2,
        )

    def _model(self, data: TransitionDataset, folder: Folder, run: _Run) -> FittedQModel:
        last = _folder_of(run.iterations - 1)
        label = data.schema.action
        assert label is not None
        files = member_files(folder.child(last), run.records)
        members = [{k: v for k, v in r.items() if k != RECORD} for r in run.records]
        model = FittedQModel(
            folder,
            data.schema.state,
            label,
            [ModelFile(f"{last}/{f.name}", f.bytes, f.sha256) for f in files],
            {"home": last, "members": members},
            {
                "iterations": run.iterations,
                "residual": run.residuals[-1] if run.residuals else None,
                "residuals": run.residuals,
                "rows": run.rows,
                "members": len(run.records),
            },
        )
        model.trusted = self._trusted()
        return model

    # -- saving and loading ---------------------------------------------------------------

    def _save_object(self, folder: Folder, name: str) -> None:
        content = dump_learner(self._learner(), trusted=self._trusted())
        folder.write_bytes(f"{name}.skops", content)

    def _load_object(self, saved: Saved, name: str) -> None:
        file = f"{name}.skops"
        if saved.has(file):
            content = saved.read_bytes(file)
            learner = load_learner(content, saved.folder.uri(file), trusted=saved.trusted)
            self._set(**{name: learner})


@dataclass
class _Run:
    """How far a fit has come: what the driver knows of the iterations."""

    iterations: int
    residuals: list[float]
    records: list[dict[str, Any]]
    rows: int

    @classmethod
    def read(cls, folder: Folder) -> _Run:
        return cls(**folder.read_json(_DONE)) if folder.exists(_DONE) else cls(0, [], [], 0)

    def write(self, folder: Folder) -> None:
        folder.write_json(_DONE, vars(self))


def _folder_of(iteration: int) -> str:
    return f"iteration-{iteration:05d}"
