"""What gradient boosting for classification and regression share: Params, plan and fit."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, ClassVar

from pyspark.ml.param import TypeConverters

from sparkml_dist.cluster.workers import check_workers
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.dataset.subsets import Validation
from sparkml_dist.ensemble.ensemble import member_summary
from sparkml_dist.ensemble.gradient_boosting.losses import loss_of
from sparkml_dist.ensemble.gradient_boosting.model import additive_content
from sparkml_dist.ensemble.gradient_boosting.plan import GradientPlan, LineSearch
from sparkml_dist.ensemble.gradient_boosting.run import GradientRun, StageStopping
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.learners.dry_fit import Candidate
from sparkml_dist.learners.known_learner import KnownLearner
from sparkml_dist.learners.learner import Traits, modules_of, refuse_unusable
from sparkml_dist.members.held_out import evaluation_shards
from sparkml_dist.members.learner_params import LearnerParams, learner_plan
from sparkml_dist.metrics.scores import check_score
from sparkml_dist.models.grid_value import GridValue
from sparkml_dist.models.loading import Saved
from sparkml_dist.params import is_share_or_count, param, share_or_count
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.model_folder import ModelFile
from sparkml_dist.session import SessionInfo, get_session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["GradientBoosting"]

# With more learners the mean direction hardly improves, while storage and scoring grow in
# proportion.
_WIDEST = 8


class GradientBoosting(LearnerParams):
    """Base of the gradient boosting estimators; see `GradientBoostingClassifier`."""

    estimator: Any = param("estimator", "a scikit-learn regressor", GridValue.of)
    numMembers: Any = param("numMembers", "number of stages, at most (>= 1)", TypeConverters.toInt)
    learningRate: Any = param(
        "learningRate", "factor that shrinks every step (> 0)", TypeConverters.toFloat
    )
    loss: Any = param(
        "loss",
        "'log_loss' for classes; 'squared_error', 'absolute_error' or 'huber' for regression",
        TypeConverters.toString,
    )
    alpha: Any = param(
        "alpha",
        "share of the residuals that count as small, for loss='huber', in (0, 1)",
        TypeConverters.toFloat,
    )
    lineSearch: Any = param(
        "lineSearch",
        "what gets a step length of its own: 'leaf' (each leaf of a tree), 'row' (each row; "
        "learners are fitted to these steps), 'stage' (each output of a stage) or 'none'; the "
        "first that the learner and the loss allow when not set",
        TypeConverters.toString,
    )
    shardsPerMember: Any = param(
        "shardsPerMember",
        "shards that each fit a learner in a stage, in parallel (>= 1); as many as tasks run at a "
        f"time, and at most {_WIDEST}, when not set",
        TypeConverters.toInt,
    )
    maxSamples: Any = param(
        "maxSamples",
        "rows of a shard that a stage learns from: a share in (0, 1], or a number",
        share_or_count,
    )
    stopMetric: Any = param(
        "stopMetric",
        "score on held-out rows that must improve for more stages to be added: 'auc', 'log_loss', "
        "'accuracy', in a regression 'rmse', 'mae', 'r2'; all stages are fitted when not set",
        TypeConverters.toString,
    )
    tol: Any = param("tol", "least improvement of stopMetric that counts", TypeConverters.toFloat)
    patience: Any = param(
        "patience", "stages without improvement before the fit stops (>= 1)", TypeConverters.toInt
    )
    validationFraction: Any = param(
        "validationFraction", "share of rows held out for stopMetric", TypeConverters.toFloat
    )

    _model_class: ClassVar[type[Any]]
    _object_params: ClassVar[tuple[str, ...]] = ("estimator",)

    def _learners(self) -> list[Any]:
        if not self.isSet(self.estimator):
            raise ConfigurationError(
                "no_estimator",
                f"{type(self).__name__} needs an estimator.",
                "Pass estimator=sklearn.tree.DecisionTreeRegressor(max_depth=3), for example.",
            )
        return [self.getOrDefault(self.estimator)]

    def _check_params(self, spark: SparkSession) -> None:
        regression = self._task == "regression"
        for name in ("numMembers", "patience", "shardsPerMember"):
            value = self._value(self.getParam(name))
            if value is not None and value < 1:
                raise ConfigurationError("invalid_param", f"{name} must be >= 1. Got {value}.")
        rate = self.getOrDefault(self.learningRate)
        if not (rate > 0 and math.isfinite(rate)):
            raise ConfigurationError("invalid_param", f"learningRate must be > 0. Got {rate}.")
        samples = self.getOrDefault(self.maxSamples)
        if not is_share_or_count(samples):
            raise ConfigurationError(
                "invalid_param",
                f"maxSamples must be a share in (0, 1], or a whole number >= 1. Got {samples}.",
            )
        alpha = self._value(self.alpha)
        if alpha is not None and not 0 < alpha < 1:
            raise ConfigurationError("invalid_param", f"alpha must be in (0, 1). Got {alpha}.")
        loss_of(self.getOrDefault(self.loss), n_classes=0 if regression else 2)
        if self.isSet(self.stopMetric):
            check_score(self.getOrDefault(self.stopMetric), "stopMetric", regression=regression)
            fraction = self.getOrDefault(self.validationFraction)
            if not 0 < fraction < 1:
                raise ConfigurationError(
                    "invalid_param",
                    f"validationFraction must be between 0 and 1. Got {fraction}.",
                )
        for learner in self._learners():
            # Gradients are numbers, so even a classifier's learners are regressors.
            refuse_unusable(learner, voting="mean", task="regression")
        self._line_search()

    def _candidates(self, data: PartitionedDataset) -> list[Candidate]:
        # Gradients are numbers: learners never see classes.
        return [
            Candidate(KnownLearner.of(x, data.schema), target="gradient") for x in self._learners()
        ]

    def _check_data(self, data: PartitionedDataset) -> None:
        super()._check_data(data)
        width = self._value(self.shardsPerMember)
        if width is not None and width > len(data.shards):
            raise ConfigurationError(
                "invalid_param",
                f"shardsPerMember={width}, but the data has {len(data.shards)} shards.",
                "Make more shards, or use fewer per stage.",
            )

    def _line_search(self) -> LineSearch:
        from sklearn.tree import BaseDecisionTree

        learner, loss = self.getOrDefault(self.estimator), self.getOrDefault(self.loss)
        traits = Traits.of(learner)
        usable: dict[str, bool] = {
            "leaf": isinstance(learner, BaseDecisionTree),
            "row": loss == "log_loss" and traits.weight_parameter is not None,
            "stage": True,
            "none": True,
        }
        found: Any = self._value(self.lineSearch)
        if found is None:
            found = next(name for name, fits in usable.items() if fits)
        if found not in usable:
            raise ConfigurationError(
                "invalid_param",
                f"lineSearch must be one of {', '.join(usable)}. Got {found!r}.",
            )
        if not usable[found]:
            what = {
                "leaf": "single trees",
                "row": "loss='log_loss' and learners with support for sample weights",
            }[found]
            raise ConfigurationError(
                "invalid_param",
                f"lineSearch={found!r} is for {what}. Got {traits.name} and loss={loss!r}.",
                "Use lineSearch='stage'.",
            )
        line_search: LineSearch = found
        return line_search

    def _width(self, data: PartitionedDataset) -> int:
        """Return the number of shards of a stage; the number of slots becomes part of the plan."""
        width: int | None = self._value(self.shardsPerMember)
        if width is None:
            width = min(SessionInfo.of(get_session()).slots or 1, _WIDEST, len(data.shards))
        return width

    def _validation(self) -> Validation | None:
        """Return the rows held out from every learner."""
        if not self.isSet(self.stopMetric):
            return None
        return Validation(self.getOrDefault(self.validationFraction), self.getOrDefault(self.seed))

    def _plan(self, data: PartitionedDataset) -> dict[str, Any]:
        names = ["numMembers", "learningRate", "loss", "alpha", "maxSamples", "seed"]
        if self.isSet(self.stopMetric):
            names += ["stopMetric", "tol", "patience", "validationFraction"]
        return {
            "class": type(self).__name__,
            "data": data.manifest.content_sha256,
            "learners": [learner_plan(x) for x in self._learners()],
            "lineSearch": self._line_search(),
            "shardsPerMember": self._width(data),
            **{name: self._value(self.getParam(name)) for name in names},
        }

    def _fit_shards(self, spark: SparkSession, data: PartitionedDataset, folder: Folder) -> Any:
        start = time.perf_counter()
        learner = self._known(data)[0]
        check_workers(spark, sorted(modules_of(learner.learner)))
        held_out = self._validation()
        plan = GradientPlan(
            data,
            folder,
            learner,
            loss_of(
                self.getOrDefault(self.loss),
                n_classes=len(data.manifest.label.classes),
                alpha=self._value(self.alpha) or 0.9,
            ),
            self.getOrDefault(self.learningRate),
            self._line_search(),
            self._width(data),
            self.getOrDefault(self.maxSamples),
            held_out,
            self.getOrDefault(self.seed),
            self._trusted(),
            SessionInfo.of(spark).task_cpus,
        )
        stopping = None
        if held_out is not None:
            stopping = StageStopping(
                self.getOrDefault(self.stopMetric),
                self.getOrDefault(self.tol),
                self.getOrDefault(self.patience),
                evaluation_shards(data, held_out.fraction),
            )
        run = GradientRun(spark, plan, self.getOrDefault(self.numMembers), stopping)
        stages = run.run()
        records = [record for members in run.records[:stages] for record in members]
        summary = member_summary(records) | {"fitted_now": run.fitted, "stages": stages}
        if stopping is not None:
            summary["curve"] = {
                "metric": stopping.metric,
                "rows": run.validation_rows,
                "shards": list(stopping.shards),
                "scores": run.scores,
                "stopped": len(run.records) < self.getOrDefault(self.numMembers),
                "best": stages,
            }
        summary["seconds"]["fit"] = round(time.perf_counter() - start, 3)
        model = self._model_class(
            folder,
            data.schema,
            data.manifest.label,
            [ModelFile(r["file"], r["bytes"], r["sha256"]) for r in records],
            additive_content(run.plan, run.settled[:stages]),
            summary,
        )
        model.trusted = self._trusted()
        return model

    def _load_object(self, saved: Saved, name: str) -> None:
        learners = self._stored_learners(saved)
        if learners:
            self._set(estimator=learners[0])
