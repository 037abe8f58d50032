"""Search for hyper-parameters, and among algorithms: trials as Spark tasks over shards."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from pyspark.ml.param import TypeConverters

from sparkml_dist.cluster.watched_child import Limits
from sparkml_dist.cluster.workers import check_workers
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.dataset.sizing import DEFAULT_MEMORY_PER_TASK
from sparkml_dist.dataset.subsets import Fold, Validation
from sparkml_dist.learners.fitting import MEMBERS
from sparkml_dist.learners.learner import modules_of
from sparkml_dist.members.held_out import evaluation_shards
from sparkml_dist.members.learner_params import learner_plan
from sparkml_dist.models.grid_value import GridValue
from sparkml_dist.models.loading import Saved
from sparkml_dist.models.shard_estimator import ShardEstimator
from sparkml_dist.params import HasClassColumns, constructor, param
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.search.engine import LOOK_AHEAD, Engine, Goal
from sparkml_dist.search.estimator_runner import MODELS, TRAINING, EstimatorRunner
from sparkml_dist.search.goal import SearchGoal, best_of, raise_all_failed
from sparkml_dist.search.learner_runner import LearnerRunner
from sparkml_dist.search.model import HyperparameterSearchModel
from sparkml_dist.search.refitting import Refitting
from sparkml_dist.search.resources import Resource
from sparkml_dist.search.runners import Runners
from sparkml_dist.search.samplers.making import make_sampler
from sparkml_dist.search.saved_estimators import load_estimators, save_estimators
from sparkml_dist.search.schedulers.making import make_scheduler
from sparkml_dist.search.search_checks import check_search, named_estimators, task_of
from sparkml_dist.search.search_model import search_model
from sparkml_dist.search.sequencer import Sequencer
from sparkml_dist.search.space import Space
from sparkml_dist.search.space_form import described, from_json, to_json
from sparkml_dist.search.trial_learners import TrialLearners
from sparkml_dist.search.trial_rows import HeldOutParts, TrialRows
from sparkml_dist.search.trial_store import TrialStore
from sparkml_dist.search.trial_task import VOTES, TrialTask
from sparkml_dist.session import SessionInfo, trusted_in_session
from sparkml_dist.sizes import parse_size

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["HyperparameterSearch"]

_logger = logging.getLogger(__name__)

_TRIALS = 20
_PLAN_PARAMS = (
    "numTrials",
    "sampler",
    "scheduler",
    "resource",
    "minResource",
    "maxResource",
    "reductionFactor",
    "metric",
    "metrics",
    "constraints",
    "numFolds",
    "validationFraction",
    "deterministic",
    "seed",
)


class HyperparameterSearch(ShardEstimator, HasClassColumns):
    """Searches for the hyper-parameters of a learner, or for the best of several learners.

    A trial is a learner with values of its parameters. It is fitted in Spark tasks on shards,
    without some rows that are held out by hashed key, and scored on these rows. The scheduler
    starts many trials with little of the resource and goes on with the best of them: by default
    the resource is the number of shards, on each of which a trial fits one member. Nothing is
    fitted twice.

    A trial that raises, hangs or takes too much memory is marked with its reason, and the search
    goes on. Every result is committed: with ``modelDir`` and ``resume`` a search that was killed
    repeats no trial that had ended.

    Parameters
    ----------
    estimator : learner, or list of (str, learner)
        scikit-learn learners. Whether it is a classification follows from them.
    space : dict, list of dict, or function
        Lists of values or distributions of SciPy or Optuna by parameter; or a function of a trial,
        which asks for values as in Optuna. For several estimators a dict of spaces by name.
    numTrials : int, optional
        20 by default; all of a grid; no end with a time budget.
    sampler : {"tpe", "random", "cmaes", "grid", "gp"}, default="tpe"
    scheduler : {"asha", "hyperband", "halving", "median", "none"}, default="asha"
    resource : str, default="shards"
        ``"shards"``, ``"rows"`` (of one shard), or the name of a parameter such as
        ``"n_estimators"``.
    minResource, maxResource : int, optional
        Of the lowest and the highest rung. By default 1 and all shards; a 27th and all rows; a 27th
        of the learner's own value and that value.
    reductionFactor : float, default=3
        Ratio of the resources of two rungs, and of the numbers of trials there.
    metric : str, optional
        Decides: ``"accuracy"`` (default), ``"auc"``, ``"log_loss"``; ``"r2"`` (default),
        ``"rmse"``, ``"mae"``.
    metrics : list of str, optional
        More scores to report; with ``metric`` first, those of the Pareto front.
    constraints : dict, optional
        Upper bounds of ``"bytes"`` and ``"millisecondsPerRow"``. Trials that keep them come first.
    validationFraction : float, default=0.2
        Share of the rows held out.
    numFolds : int, optional
        Cross-validation by so many folds instead: the score is the mean over the folds.
    timeBudget : float, optional
        Seconds for the search and the refit.
    deterministic : bool, default=False
        Decide in a fixed order: the same seed gives the same search at any degree of parallelism.
    refit : {"best", "ensemble", "none"}, default="best"
        Fit the best parameters on all rows of all shards; or keep the members of all trials and
        choose those that vote well together, by greedy selection on the held-out rows.
    ensembleSize : int, default=20
        Largest number of members of that ensemble, counted with repetition.
    parallelism : int, optional
        Task slots to use at a time; all by default.
    trialTimeout : float, optional
        Seconds that one fit of a trial may take.
    trialMemory : str, optional
        Memory that a fit may take beyond the rows that it shares, such as ``"2g"``; of networks
        and boosted trees that ranks train, the memory of each rank beyond its imports. Estimators
        of other kinds are not watched.
    memoryPerTask : str, optional
        Sizes the shards, and what a worker keeps of them between trials.
    trustedTypes, seed, featuresCol, featuresCols, categoricalCols, labelCol, weightCol, keyCol, \
predictionCol, probabilityCol, rawPredictionCol, predictedLabelCol, numShards, shardsDir, \
modelDir, overwrite, resume
        As for `BaggingClassifier`.

    References
    ----------
    Li, Jamieson, Rostamizadeh, Gonina, Hardt, Recht, Talwalkar (2020), "A system for massively
    parallel hyperparameter tuning", arXiv 1810.05934.

    Examples
    --------
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> search = HyperparameterSearch(
    ...     estimator=DecisionTreeClassifier(),
    ...     space={"max_depth": [1, 2, 3], "min_samples_leaf": [1, 5]},
    ...     sampler="grid",
    ...     labelCol="species",
    ...     numShards=2,
    ... )
    >>> model = search.fit(iris)
    >>> model.trials.count(), model.bestScore > 0.8
    (6, True)
    """

    estimator: Any = param("estimator", "a learner, or a list of (name, learner)", GridValue.of)
    space: Any = param(
        "space", "values of the parameters: a dict, a list of dicts or a function of a trial"
    )
    numTrials: Any = param("numTrials", "number of trials, at most (>= 1)", TypeConverters.toInt)
    sampler: Any = param(
        "sampler", "'tpe', 'random', 'cmaes', 'grid' or 'gp'", TypeConverters.toString
    )
    scheduler: Any = param(
        "scheduler", "'asha', 'hyperband', 'halving', 'median' or 'none'", TypeConverters.toString
    )
    resource: Any = param(
        "resource", "'shards', 'rows', or the name of a parameter", TypeConverters.toString
    )
    minResource: Any = param("minResource", "resource of the lowest rung", TypeConverters.toInt)
    maxResource: Any = param("maxResource", "resource of the highest rung", TypeConverters.toInt)
    reductionFactor: Any = param(
        "reductionFactor", "ratio of the resources of two rungs (> 1)", TypeConverters.toFloat
    )
    metric: Any = param(
        "metric",
        "score that decides: 'accuracy', 'auc', 'log_loss'; 'r2', 'rmse', 'mae'",
        TypeConverters.toString,
    )
    metrics: Any = param("metrics", "more scores to report", TypeConverters.toListString)
    constraints: Any = param(
        "constraints", "upper bounds of 'bytes' and 'millisecondsPerRow', as a dict"
    )
    numFolds: Any = param("numFolds", "folds of a cross-validation (>= 2)", TypeConverters.toInt)
    validationFraction: Any = param(
        "validationFraction", "share of the rows held out from trials", TypeConverters.toFloat
    )
    timeBudget: Any = param(
        "timeBudget", "seconds for the search and the refit", TypeConverters.toFloat
    )
    deterministic: Any = param(
        "deterministic", "whether the search does not depend on timing", TypeConverters.toBoolean
    )
    refit: Any = param("refit", "'best', 'ensemble' or 'none'", TypeConverters.toString)
    ensembleSize: Any = param(
        "ensembleSize", "members of the ensemble of the best, at most (>= 1)", TypeConverters.toInt
    )
    parallelism: Any = param(
        "parallelism", "task slots to use at a time (>= 1)", TypeConverters.toInt
    )
    trialTimeout: Any = param(
        "trialTimeout", "seconds that one fit of a trial may take", TypeConverters.toFloat
    )
    trialMemory: Any = param(
        "trialMemory", "memory that one fit of a trial may take", TypeConverters.toString
    )
    trustedTypes: Any = param(
        "trustedTypes",
        "dotted names of types that members may contain in addition to the allow-list",
        TypeConverters.toListString,
    )

    _object_params: ClassVar[tuple[str, ...]] = ("estimator", "space")

    @constructor
    def __init__(
        self,
        *,
        estimator: Any = None,
        space: Any = None,
        numTrials: int | None = None,
        sampler: str = "tpe",
        scheduler: str = "asha",
        resource: str = "shards",
        minResource: int | None = None,
        maxResource: int | None = None,
        reductionFactor: float = 3.0,
        metric: str | None = None,
        metrics: Sequence[str] = (),
        constraints: Mapping[str, float] | None = None,
        numFolds: int | None = None,
        validationFraction: float = 0.2,
        timeBudget: float | None = None,
        deterministic: bool = False,
        refit: str = "best",
        ensembleSize: int = 20,
        parallelism: int | None = None,
        trialTimeout: float | None = None,
        trialMemory: str | None = None,
        trustedTypes: Sequence[str] = (),
        featuresCols: Sequence[str] | None = None,
        categoricalCols: Sequence[str] | None = None,
        keyCol: str | None = None,
        featuresCol: str = "features",
        labelCol: str = "label",
        weightCol: str | None = None,
        numShards: int | None = None,
        memoryPerTask: str | None = None,
        shardsDir: str | None = None,
        modelDir: str | None = None,
        overwrite: bool = False,
        resume: bool = False,
        predictionCol: str = "prediction",
        seed: int = 0,
        predictedLabelCol: str = "predictedLabel",
        probabilityCol: str = "probability",
        rawPredictionCol: str = "rawPrediction",
    ) -> None: ...

    # -- before any job -------------------------------------------------------------------

    @property
    def _task(self) -> Any:  # type: ignore[override]
        return task_of(self._value(self.estimator))

    def _metrics(self) -> list[str]:
        """Return the metrics, the one that decides first."""
        first = self._value(self.metric) or ("r2" if self._task == "regression" else "accuracy")
        return list(dict.fromkeys([first, *self.getOrDefault(self.metrics)]))

    def _check_params(self, spark: SparkSession) -> None:
        check_search(self, self._metrics(), spark)
        self._space()

    def _space(self) -> Space:
        return Space.of(self._value(self.space), self._value(self.estimator))

    def _named(self) -> dict[str | None, Any]:
        """Return the estimators by name; None for the only one."""
        return named_estimators(self._value(self.estimator))

    def _trusted(self) -> tuple[str, ...]:
        return (*self.getOrDefault(self.trustedTypes), *trusted_in_session())

    def _plan(self, data: PartitionedDataset) -> dict[str, Any]:
        return {
            "class": type(self).__name__,
            "data": data.manifest.content_sha256,
            "estimators": {str(n): _identity(x) for n, x in self._named().items()},
            "space": described(self._value(self.space)),
            **{name: self._value(self.getParam(name)) for name in _PLAN_PARAMS},
        }

    # -- the search -----------------------------------------------------------------------

    def _held_out(self, data: PartitionedDataset) -> HeldOutParts:
        seed, folds = self.getOrDefault(self.seed), self._value(self.numFolds)
        if folds is not None:
            parts = tuple(Fold(folds, i, seed) for i in range(folds))
            return HeldOutParts(parts, evaluation_shards(data, 1.0))
        fraction = self.getOrDefault(self.validationFraction)
        return HeldOutParts((Validation(fraction, seed),), evaluation_shards(data, fraction))

    def _trials(self, space: Space) -> int | None:
        """Return the largest number of trials; None for no end."""
        given: int | None = self._value(self.numTrials)
        size = space.size() if self.getOrDefault(self.sampler) == "grid" else None
        if size is not None:
            return size if given is None else min(size, given)
        if given is None and not self.isSet(self.timeBudget):
            return _TRIALS
        return given

    def _fit_shards(
        self, spark: SparkSession, data: PartitionedDataset, folder: Folder
    ) -> HyperparameterSearchModel:
        begun = time.monotonic()
        budget = self._value(self.timeBudget)
        info = SessionInfo.of(spark)
        slots = self._value(self.parallelism) or info.slots or 4
        named, metrics = self._named(), self._metrics()
        plain = {n: x for n, x in named.items() if not isinstance(x, ShardEstimator)}
        check_workers(spark, sorted({m for x in plain.values() for m in modules_of(x)}))
        space, held_out = self._space(), self._held_out(data)
        trials = self._trials(space)
        resource = Resource.of(self, data, named)
        scheduler = make_scheduler(
            self.getOrDefault(self.scheduler),
            trials,
            resource.least,
            resource.most,
            self.getOrDefault(self.reductionFactor),
            # Later trials of such a sampler are better than earlier ones: most would be promoted.
            delayed=self.getOrDefault(self.sampler) in ("tpe", "cmaes", "gp"),
        )
        sampler = make_sampler(self.getOrDefault(self.sampler), space, self.getOrDefault(self.seed))
        learners = TrialLearners(spark, data, plain, self._task, metrics, self._trusted())
        store = TrialStore(folder)
        refitting = self._refitting(data, folder, len(held_out.parts), slots)
        task = self._trial_task(data, folder, held_out, resource, info, refitting.keeps_members)
        runners = Runners(
            LearnerRunner(
                spark, task, learners, resource.kind, resource.rows, refitting.keeps_members
            ),
            EstimatorRunner(
                spark,
                task.rows,
                store,
                {n: x for n, x in named.items() if isinstance(x, ShardEstimator)},
                tuple(metrics),
                resource.kind,
                slots,
                self._value(self.trialTimeout),
                task.limits.memory,
            ),
        )
        goal = SearchGoal(metrics[0], dict(self._value(self.constraints) or {}), resource)
        engine = Engine(
            spark,
            Sequencer(
                scheduler, sampler, LOOK_AHEAD if self.getOrDefault(self.deterministic) else None
            ),
            runners.of,
            store,
            Goal(goal.loss),
            slots=slots,
            tag=f"sparkml_dist-search-{uuid.uuid4().hex}",
            reserve=partial(refitting.seconds, resource.kind == "shards"),
            deadline=None if budget is None else begun + budget,
            total=trials,
        )
        kept = engine.resume()
        if kept:
            _logger.info("%d results of trials are committed already", kept)
        engine.run()
        best = best_of(engine, goal)
        if best is None:
            raise_all_failed(engine, budget)
        searched = time.monotonic() - begun
        files, chosen = refitting.run(spark, engine, runners, goal, best)
        passing = () if refitting.keeps_members else (VOTES, MEMBERS)
        for name in (MODELS, TRAINING, *passing):
            folder.child(name).delete()
        times = {"search": round(searched, 3), "fit": round(time.monotonic() - begun, 3)}
        model = search_model(
            data,
            folder,
            engine,
            best,
            metrics,
            resource.kind,
            files,
            chosen,
            {"results_kept": kept, "seconds": times},
        )
        model.trusted = self._trusted()
        return model

    def _refitting(
        self, data: PartitionedDataset, folder: Folder, parts: int, slots: int
    ) -> Refitting:
        fraction = self.getOrDefault(self.validationFraction)
        return Refitting(
            self.getOrDefault(self.refit),
            data,
            folder,
            parts,
            share=1.0 - (1.0 / parts if self.isSet(self.numFolds) else fraction),
            slots=slots,
            ensemble_size=self.getOrDefault(self.ensembleSize),
            seed=self.getOrDefault(self.seed),
            trusted=self._trusted(),
        )

    def _trial_task(
        self,
        data: PartitionedDataset,
        folder: Folder,
        held_out: HeldOutParts,
        resource: Resource,
        info: SessionInfo,
        keeps_members: bool,
    ) -> TrialTask:
        memory = self._value(self.trialMemory)
        held = parse_size(self._value(self.memoryPerTask) or DEFAULT_MEMORY_PER_TASK)
        return TrialTask(
            TrialRows(data, held_out, held),
            folder,
            (),
            tuple(self._metrics()),
            resource.shards,
            self.getOrDefault(self.seed),
            info.task_cpus,
            self._trusted(),
            keeps_votes=keeps_members or (resource.kind == "shards" and resource.most > 1),
            limits=Limits(
                self._value(self.trialTimeout),
                memory=None if memory is None else parse_size(memory, "trialMemory"),
            ),
        )

    # -- saving and loading ---------------------------------------------------------------

    def _save_object(self, folder: Folder, name: str) -> None:
        if name == "space":
            folder.write_json("space.json", to_json(self.getOrDefault(self.space)))
            return
        save_estimators(folder, self._named(), trusted=self._trusted())

    def _load_object(self, saved: Saved, name: str) -> None:
        if name == "space":
            if saved.has("space.json"):
                self._set(space=from_json(saved.read_json("space.json")))
            return
        found = load_estimators(saved)
        if found is not None:
            self._set(estimator=found)


def _identity(estimator: Any) -> dict[str, Any]:
    """Return what identifies an estimator in the plan of a search."""
    if not isinstance(estimator, ShardEstimator):
        return learner_plan(estimator)
    values = {p.name: repr(v) for p, v in estimator.extractParamMap().items()}
    return {"type": type(estimator).__name__, "params": values}
