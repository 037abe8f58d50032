"""Base of the algorithm selection: its Params, and the steps of a fit."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

from pyspark.ml.param import TypeConverters

from sparkml_dist.automl.auto_model import (
    FEATURES,
    LEADERBOARD_FILE,
    MODEL,
    AutoClassificationModel,
    AutoModel,
    AutoRegressionModel,
)
from sparkml_dist.automl.build_model import save_ensemble
from sparkml_dist.automl.ensemble_methods import METHODS
from sparkml_dist.automl.even_folds import FEW_ROWS, even_folds
from sparkml_dist.automl.families.known import check_families, families_for
from sparkml_dist.automl.leaderboard import leaderboard_rows, what_was_left
from sparkml_dist.automl.schedule import Schedule
from sparkml_dist.automl.selection import Candidate, Selected, select_trials
from sparkml_dist.automl.situation import class_rows, situation_of
from sparkml_dist.automl.table_features import TableFeatures
from sparkml_dist.automl.table_features_model import TableFeaturesModel
from sparkml_dist.automl.trials import COMPARISON_SHARE, Budget, Trials
from sparkml_dist.cluster.memory import PeakMemory
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.dataset.partitioning import partition
from sparkml_dist.dataset.sizing import DEFAULT_MEMORY_PER_TASK
from sparkml_dist.errors import ConfigurationError, DataError, nearest
from sparkml_dist.metrics.scores import CLASSIFICATION_SCORES, REGRESSION_SCORES, check_score
from sparkml_dist.models.persistable import save_inside
from sparkml_dist.models.shard_estimator import ShardEstimator
from sparkml_dist.params import param
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.model_folder import ModelFile
from sparkml_dist.persistence.workspace import temporary_folder
from sparkml_dist.search.goal import raise_all_failed, ranked_trials
from sparkml_dist.search.trial_table import peak_rss_mb
from sparkml_dist.session import SessionInfo
from sparkml_dist.sizes import parse_size

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["AutoEstimator"]

_logger = logging.getLogger(__name__)

_SECONDS = 60.0
_SEARCH = "search"
#: Trials that the ensemble is selected from.
_CANDIDATES = 40
_PLAN_PARAMS = (
    "families",
    "metric",
    "numTrials",
    "timeBudget",
    "ensembleMethod",
    "calibrate",
    "numFolds",
    "seed",
)


class AutoEstimator(ShardEstimator):
    """Base of `AutoClassifier` and `AutoRegressor`."""

    families: Any = param(
        "families",
        "families of learners to try; all that are installed when not set",
        TypeConverters.toListString,
    )
    metric: Any = param(
        "metric",
        "score that decides: 'auc', 'log_loss', 'accuracy'; 'rmse', 'mae', 'r2'",
        TypeConverters.toString,
    )
    numTrials: Any = param(
        "numTrials",
        "settings to try (>= 1); with it and without timeBudget the same seed gives the same model",
        TypeConverters.toInt,
    )
    timeBudget: Any = param(
        "timeBudget", "seconds for everything that fit does", TypeConverters.toFloat
    )
    numFolds: Any = param(
        "numFolds",
        "folds of a cross-validation (>= 2); few rows have 5, more rows a hold-out when not set",
        TypeConverters.toInt,
    )
    ensembleMethod: Any = param(
        "ensembleMethod",
        "'greedy' selection of trials, 'stacked' weights of least loss, or 'best' of the two by "
        "cross-validation on held-out rows",
        TypeConverters.toString,
    )
    textCols: Any = param(
        "textCols",
        "columns, by name or glob, of strings that are texts whatever the profile says",
        TypeConverters.toListString,
    )

    _shares_shards: ClassVar[bool] = False

    # -- before any job -------------------------------------------------------------------

    def _check_params(self, spark: SparkSession) -> None:
        check_families(self._value(self.families))
        metric = self._value(self.metric)
        if metric is not None:
            check_score(metric, "metric", regression=self._task == "regression")
        method = self.getOrDefault(self.ensembleMethod)
        if method not in METHODS:
            raise ConfigurationError(
                "invalid_param",
                f"ensembleMethod must be one of {', '.join(METHODS)}. Got {method!r}."
                f"{nearest(method, METHODS)}",
            )
        for name, least in (("numTrials", 1), ("numFolds", 2)):
            value = self._value(self.getParam(name))
            if value is not None and value < least:
                raise ConfigurationError(
                    "invalid_param", f"{name} must be >= {least}. Got {value}."
                )
        budget = self._value(self.timeBudget)
        if budget is not None and not (budget > 0 and math.isfinite(budget)):
            raise ConfigurationError(
                "invalid_param", f"timeBudget must be a number of seconds > 0. Got {budget:g}."
            )
        if self.isSet(self.memoryPerTask):
            parse_size(self.getOrDefault(self.memoryPerTask), "memoryPerTask")

    def _calibrates(self) -> bool:
        return False

    def _plan(self, data: PartitionedDataset) -> dict[str, Any]:
        return {
            "class": type(self).__name__,
            "data": data.manifest.content_sha256,
            **{n: self._value(self.getParam(n)) for n in _PLAN_PARAMS if self.hasParam(n)},
        }

    # -- the fit --------------------------------------------------------------------------

    def _fit(self, dataset: DataFrame | PartitionedDataset) -> Any:
        # A copy, because it keeps what belongs to this fit alone.
        run = self.copy()
        seconds, trials = self._value(self.timeBudget), self._value(self.numTrials)
        if seconds is None and trials is None:
            seconds = _SECONDS
        run._budget = Budget(trials, seconds, time.monotonic())
        run._table_features, run._seconds = None, {}
        with PeakMemory() as run._memory:
            return ShardEstimator._fit(run, dataset)

    _budget: Budget
    _memory: PeakMemory
    _table_features: TableFeaturesModel | None
    _seconds: dict[str, float]

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        """Take note of the seconds of a part of the fit."""
        begun = time.monotonic()
        yield
        self._seconds[name] = round(time.monotonic() - begun, 3)
        _logger.info("%s: %.1f s", name, self._seconds[name])

    def _partition(self, df: DataFrame) -> tuple[PartitionedDataset, bool]:
        with self._stage("features"):
            features = self._features(df)
        self._check_time("features")
        prepared = features.transform(df)
        if self.isSet(self.shardsDir):
            folder, temporary = Folder.at(self.getOrDefault(self.shardsDir)), False
        else:
            folder, temporary = temporary_folder(df.sparkSession, "shards", "shardsDir"), True
        try:
            with self._stage("partition"):
                data = self._shards(prepared, features, folder)
        except BaseException:
            if temporary:
                folder.delete()
            raise
        self._table_features = features
        try:
            self._check_time("features", "partition")
        except ConfigurationError:
            if temporary:
                folder.delete()
            raise
        return data, temporary

    def _check_time(self, *stages: str) -> None:
        """Raise if the time is over before any trial."""
        left = self._budget.left()
        if left is not None and left <= 0:
            spent = " and ".join(f"{self._seconds[s]:.0f} s for the {s}" for s in stages)
            raise ConfigurationError(
                "budget_too_small",
                f"timeBudget={self._budget.seconds:g} s was over before the first trial: {spent}.",
                "Give it more time, fewer columns (featuresCols), or shards that are ready.",
            )

    def _shards(
        self, prepared: DataFrame, features: TableFeaturesModel, folder: Folder
    ) -> PartitionedDataset:
        return partition(
            prepared,
            folder.location,
            label=self.getOrDefault(self.labelCol),
            features=features.featureColumns,
            weight=self._value(self.weightCol),
            key=self._value(self.keyCol),
            categorical=features.categoricalColumns,
            task=self._task,
            shards=self._value(self.numShards),
            memory_per_task=self._shard_memory(),
            seed=self.getOrDefault(self.seed),
            # Rows that a resumed fit partitions again give the same shards.
            overwrite=self.getOrDefault(self.overwrite) or self.getOrDefault(self.resume),
        )

    def _features(self, df: DataFrame) -> TableFeaturesModel:
        """Look at the table; raise if its label identifies rows."""
        label = self.getOrDefault(self.labelCol)
        named: dict[str, Any] = {
            name: self._value(self.getParam(name))
            for name in ("categoricalCols", "textCols", "weightCol", "keyCol")
        }
        features = TableFeatures(
            labelCol=label,
            featuresCols=self._features_of(df),
            seed=self.getOrDefault(self.seed),
            **named,
        ).fit(df)
        if self._task == "classification":
            for name, alert in features.alerts:
                if name == label and "identifier" in alert:
                    raise DataError(
                        "too_many_classes",
                        f"The label {label!r} may identify rows: {alert.rstrip('?')}.",
                        "Choose another label, or fit an AutoRegressor.",
                    )
        return features

    def _check_data(self, data: PartitionedDataset) -> None:
        counts = class_rows(data)
        if counts and max(counts) < 2:
            raise DataError(
                "too_few_rows",
                f"Each of the {len(counts):,} classes of {data.manifest.label.column!r} has a "
                "single row.",
                "Nothing can be learnt about a class from one row: give more rows, or choose "
                "another label.",
            )

    def _fit_shards(
        self, spark: SparkSession, data: PartitionedDataset, folder: Folder
    ) -> AutoModel:
        budget = self._budget
        info = SessionInfo.of(spark)
        metrics = self._metrics(data)
        schedule = Schedule.of(data, *self._folds(spark, data))
        situation = situation_of(
            data,
            schedule,
            self._table_features,
            metrics[0],
            self.getOrDefault(self.seed),
            budget.fit_seconds(),
        )
        families, left = families_for(situation, self._value(self.families))
        memory = self._value(self.memoryPerTask)
        begun = time.monotonic()
        trials = Trials(
            spark,
            data,
            folder.child(_SEARCH),
            families,
            schedule,
            metrics,
            budget,
            sampler="tpe" if find_spec("optuna") else "random",
            seed=self.getOrDefault(self.seed),
            slots=info.slots or 4,
            cores=info.task_cpus,
            memory=parse_size(memory or DEFAULT_MEMORY_PER_TASK, "memoryPerTask"),
            limit=None if memory is None else parse_size(memory, "memoryPerTask"),
        )
        self._seconds["prepare"] = round(time.monotonic() - begun, 3)
        with self._stage("search"):
            trials.run()
        candidates = self._candidates(trials)
        if not candidates:
            raise_all_failed(trials.engine, budget.seconds, "name quick families")
        with self._stage("select"):
            selected = select_trials(
                spark,
                trials.rows,
                trials.folder,
                candidates,
                metrics,
                self.getOrDefault(self.seed),
                method=self.getOrDefault(self.ensembleMethod),
                seconds=None if budget.seconds is None else COMPARISON_SHARE * budget.seconds,
                calibrate=self._calibrates(),
            )
        with self._stage("build"):
            files, built_mb = save_ensemble(spark, trials, selected, folder, MODEL)
        trials.forget(selected.weights)
        left = {**left, **trials.left}
        return self._model(data, folder, trials, selected, left, files, built_mb)

    def _folds(self, spark: SparkSession, data: PartitionedDataset) -> tuple[int | None, int]:
        """Return the number of folds, None for a hold-out, and the seed of their draws."""
        folds = Schedule.folds_of(data, self._value(self.numFolds))
        seed = self.getOrDefault(self.seed)
        if folds is None or data.n_rows >= FEW_ROWS:
            return folds, seed
        return even_folds(spark, data, folds, seed)

    def _candidates(self, trials: Trials) -> list[Candidate]:
        """Return the best results of trials, by their highest rung."""
        shards = trials.schedule.resource.kind == "shards"
        return [
            Candidate(t, trials.latest(t)["resource"] if shards else 1)
            for t in ranked_trials(trials.engine, trials.goal)[:_CANDIDATES]
        ]

    def _metrics(self, data: PartitionedDataset) -> list[str]:
        """Return the metrics, the one that decides first."""
        classes = len(data.manifest.label.classes)
        usual = "rmse" if not classes else "auc" if classes == 2 else "log_loss"
        known = CLASSIFICATION_SCORES if classes else REGRESSION_SCORES
        return list(dict.fromkeys([self._value(self.metric) or usual, *known]))

    def _model(
        self,
        data: PartitionedDataset,
        folder: Folder,
        trials: Trials,
        selected: Selected,
        left: dict[str, str],
        files: list[ModelFile],
        built_mb: float,
    ) -> AutoModel:
        features, engine = self._table_features, trials.engine
        if features is not None:
            save_inside(features, folder, FEATURES)
            files = [*files, *_files_below(folder, FEATURES)]
        rows = leaderboard_rows(engine, trials.metrics[0], selected.weights)
        dropped = {} if features is None else features.dropped
        folder.write_json(
            LEADERBOARD_FILE, {"trials": rows, "left": what_was_left(dropped, left, rows)}
        )
        label = data.manifest.label
        kind = AutoRegressionModel if label.is_regression else AutoClassificationModel
        return kind(
            folder,
            data.schema,
            label,
            [*files, ModelFile.of(folder, LEADERBOARD_FILE)],
            {
                "features": features is not None,
                "metric": trials.metrics[0],
                "scores": selected.scores,
                "trials": len(rows),
                "alerts": [] if features is None else [list(a) for a in features.alerts],
                "folds": trials.schedule.folds,
                "scored_rows": selected.rows,
                "class_rows": class_rows(data),
                "rows": data.n_rows,
            },
            {
                "trials": len(rows),
                "failed": sum(r["state"] not in ("done", "deadline") for r in rows),
                "out_of_time": engine.out_of_time,
                "ensemble": {"method": selected.method, "scores": selected.compared},
                "peak_worker_rss_mb": max(
                    peak_rss_mb(engine.records.values()), selected.peak_rss_mb, built_mb
                ),
                "peak_driver_rss_mb": round(self._memory.so_far() / 2**20, 1),
                "seconds": {
                    "fit": round(time.monotonic() - self._budget.begun, 3),
                    **self._seconds,
                    "member_fit": round(sum(r["seconds"] for r in rows), 3),
                },
            },
        )


def _files_below(folder: Folder, name: str) -> list[ModelFile]:
    return [ModelFile.of(folder, f"{name}/{n}") for n in folder.child(name).walk()]
