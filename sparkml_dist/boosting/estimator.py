"""Base of the estimators that boost trees: runs a training by ranks over the shards."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, ClassVar

from sparkml_dist.boosting.booster_model import BoosterModel
from sparkml_dist.boosting.boosting_job import (
    CHECKPOINTS,
    MODEL_FILE,
    BoostingJob,
    EarlyStopping,
)
from sparkml_dist.boosting.boosting_params import HasBoosting
from sparkml_dist.boosting.constraints import (
    check_constraints,
    interaction_constraints,
    monotone_constraints,
)
from sparkml_dist.boosting.extra_params import check_extra_params
from sparkml_dist.boosting.memory import check_memory, keeps_blocks, nodes_at_once, page_bytes
from sparkml_dist.boosting.objectives import (
    check_metrics,
    check_objective_fits,
    default_metric,
    dotted_name,
    is_larger_better,
    objective_name,
    resolve_objective,
)
from sparkml_dist.boosting.saved_booster import require_xgboost
from sparkml_dist.boosting.training import REQUIRED, BoostingResult, train_booster
from sparkml_dist.cluster.gang import check_gang
from sparkml_dist.cluster.gang_params import HasTimeouts
from sparkml_dist.cluster.shipping import shipped
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.dataset.sizing import DEFAULT_MEMORY_PER_TASK
from sparkml_dist.dataset.subsets import Validation
from sparkml_dist.errors import ConfigurationError, DataError, StorageError
from sparkml_dist.models.loading import Saved
from sparkml_dist.models.shard_estimator import ShardEstimator
from sparkml_dist.persistence.checkpoints import CheckpointStore
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.model_folder import ModelFile
from sparkml_dist.sizes import parse_size

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["BoostingEstimator"]

_logger = logging.getLogger(__name__)

RESULT = "training.json"
_PARAMETERS = {
    "learningRate": "learning_rate",
    "maxDepth": "max_depth",
    "maxLeaves": "max_leaves",
    "growPolicy": "grow_policy",
    "maxBin": "max_bin",
    "minChildWeight": "min_child_weight",
    "minSplitLoss": "min_split_loss",
    "subsample": "subsample",
    "colsampleByTree": "colsample_bytree",
    "regLambda": "reg_lambda",
    "regAlpha": "reg_alpha",
}


class BoostingEstimator(ShardEstimator, HasBoosting, HasTimeouts):
    """Base of the estimators that boost trees; a subclass sets the class of its model."""

    _object_params: ClassVar[tuple[str, ...]] = ("objective",)
    _growing: ClassVar[tuple[str, ...]] = ("numMembers",)
    #: Class of the fitted model.
    _model_class: ClassVar[type[BoosterModel]]

    # -- before any job -------------------------------------------------------------------

    def _check_params(self, spark: SparkSession) -> None:
        self._check_numbers()
        self._resolved()
        check_metrics(self._value(self.evalMetric) or (), regression=self._is_regression)
        self._stopping(0)
        check_constraints(
            self._value(self.monotoneConstraints), self._value(self.interactionConstraints)
        )
        check_extra_params(self._value(self.extraParams) or {})
        parse_size(self._memory(), "memoryPerTask")
        timeouts = self._timeouts()
        require_xgboost()
        check_gang(
            spark,
            self.getOrDefault(self.numRanks),
            REQUIRED,
            slot_timeout=timeouts["slot_timeout"],
        )

    def _check_data(self, data: PartitionedDataset) -> None:
        classes, ranks = len(data.manifest.label.classes), self.getOrDefault(self.numRanks)
        if classes == 1:
            raise DataError(
                "one_class",
                f"The label {data.manifest.label.column!r} has the class "
                f"{data.manifest.label.classes[0]!r} only.",
                "A classifier needs rows of two classes.",
            )
        check_objective_fits(self._resolved(), classes)
        check_metrics(
            self._value(self.evalMetric) or (),
            regression=self._is_regression,
            n_classes=classes,
        )
        self._stopping(classes)
        self._parameters(data)
        if ranks > data.n_rows:
            raise ConfigurationError(
                "invalid_param",
                f"numRanks is {ranks}, but there are {data.n_rows} rows.",
                "Every rank needs a row.",
            )
        self._external(data)

    @property
    def _is_regression(self) -> bool:
        return self._task == "regression"

    def _resolved(self) -> str | Callable[..., Any] | None:
        return resolve_objective(self._value(self.objective), regression=self._is_regression)

    def _memory(self) -> str:
        return self._value(self.memoryPerTask) or DEFAULT_MEMORY_PER_TASK

    def _external(self, data: PartitionedDataset) -> bool:
        return check_memory(
            data,
            self.getOrDefault(self.numRanks),
            self.getOrDefault(self.maxBin),
            self._memory(),
            self._value(self.externalMemory),
            given=self.isSet(self.memoryPerTask),
            nodes=self._nodes(),
        )

    def _nodes(self) -> float:
        return nodes_at_once(
            self.getOrDefault(self.growPolicy),
            self.getOrDefault(self.maxDepth),
            self.getOrDefault(self.maxLeaves),
        )

    def _plan(self, data: PartitionedDataset) -> dict[str, Any]:
        classes = len(data.manifest.label.classes)
        stopping = self._stopping(classes)
        return {
            "class": type(self).__name__,
            "data": data.manifest.content_sha256,
            # Without the ranks: a training may resume with another number.
            "numMembers": self.getOrDefault(self.numMembers),
            "parameters": self._parameters(data),
            "objective": dotted_name(self._resolved()),
            "metrics": list(self._metrics(classes)),
            "validationFraction": self.getOrDefault(self.validationFraction),
            "stopping": None if stopping is None else asdict(stopping),
            "checkpointRounds": self.getOrDefault(self.checkpointRounds),
        }

    # -- the fit --------------------------------------------------------------------------

    def _grow(self, folder: Folder) -> None:
        # The training goes on from the last checkpoint, which keepCheckpoints keeps.
        folder.delete_file(RESULT)

    def _metrics(self, n_classes: int) -> tuple[str, ...]:
        given = self._value(self.evalMetric)
        return tuple(given or (default_metric(objective_name(self._resolved(), n_classes)),))

    def _stopping(self, n_classes: int) -> EarlyStopping | None:
        """Return when to stop early; `n_classes` is 0 while it is not known."""
        fraction, patience = self.getOrDefault(self.validationFraction), self._value(self.patience)
        if patience is None:
            for unused in ("stopMetric", "tol"):
                if self.isSet(self.getParam(unused)):
                    raise ConfigurationError(
                        "patience_not_set",
                        f"{unused} is set, but has no effect.",
                        "Set patience to end early.",
                    )
            return None
        metrics = self._metrics(n_classes)
        prefix = "val_" if fraction else ""
        metric = self._value(self.stopMetric) or f"{prefix}{metrics[-1]}"
        if metric.startswith("val_") and not fraction:
            raise ConfigurationError(
                "no_validation",
                f"stopMetric={metric!r} is a metric of held-out rows, but no rows are held out.",
                "Set validationFraction, e.g. to 0.1.",
            )
        known = self.isSet(self.evalMetric) or n_classes or self._is_regression
        if metric.removeprefix("val_") not in metrics and known:
            raise ConfigurationError(
                "unknown_metric",
                f"stopMetric={metric!r} is not computed: the metrics are {', '.join(metrics)}.",
                "Add it to evalMetric.",
            )
        return EarlyStopping(
            metric,
            patience,
            self.getOrDefault(self.tol),
            is_larger_better(metric.removeprefix("val_")),
        )

    def _parameters(self, data: PartitionedDataset) -> dict[str, Any]:
        """Return XGBoost's parameters."""
        classes = len(data.manifest.label.classes)
        found: dict[str, Any] = {
            "objective": objective_name(self._resolved(), classes),
            "tree_method": "hist",
            "seed": self.getOrDefault(self.seed) % 2**31,
            **{
                name: self.getOrDefault(self.getParam(param)) for param, name in _PARAMETERS.items()
            },
            **check_extra_params(self._value(self.extraParams) or {}),
        }
        if classes > 2:
            found["num_class"] = classes
        if monotone := self._value(self.monotoneConstraints):
            found["monotone_constraints"] = monotone_constraints(monotone, data.schema)
        if interaction := self._value(self.interactionConstraints):
            found["interaction_constraints"] = interaction_constraints(interaction, data.schema)
        return found

    def _job(self, data: PartitionedDataset, folder: Folder) -> BoostingJob:
        objective, classes = self._resolved(), len(data.manifest.label.classes)
        fraction = self.getOrDefault(self.validationFraction)
        memory, external = parse_size(self._memory(), "memoryPerTask"), self._external(data)
        ranks, bins = self.getOrDefault(self.numRanks), self.getOrDefault(self.maxBin)
        return BoostingJob(
            data=data,
            folder=folder,
            parameters=self._parameters(data),
            rounds=self.getOrDefault(self.numMembers),
            metrics=self._metrics(classes),
            objective=shipped(objective, objective) if callable(objective) else None,
            validation=Validation(fraction, self.getOrDefault(self.seed)) if fraction else None,
            stopping=self._stopping(classes),
            checkpoint_rounds=self.getOrDefault(self.checkpointRounds),
            keep_checkpoints=self.getOrDefault(self.keepCheckpoints),
            external=external,
            keep_blocks=not external and keeps_blocks(data, ranks, bins, self._memory()),
            batch_bytes=page_bytes(data, ranks, memory, self._nodes(), external=external),
        )

    def _fit_shards(
        self, spark: SparkSession, data: PartitionedDataset, folder: Folder
    ) -> BoosterModel:
        job = self._job(data, folder)
        if folder.exists(RESULT):
            _logger.info("the booster in %s is trained already", folder.location)
            result = BoostingResult(**folder.read_json(RESULT))
        else:
            result = train_booster(
                spark,
                job,
                self.getOrDefault(self.numRanks),
                max_restarts=self.getOrDefault(self.maxRestarts),
                timeouts=self._timeouts(),
                description=type(self).__name__,
                on_event=_log_event,
            )
            folder.write_json(RESULT, asdict(result))
        CheckpointStore(folder.child(CHECKPOINTS)).prune(self.getOrDefault(self.keepCheckpoints))
        model = result.model
        return self._model_class(
            folder,
            data.schema,
            data.manifest.label,
            [ModelFile(MODEL_FILE, model["bytes"], model["sha256"])],
            {},
            {
                "ranks": result.ranks,
                "rounds": result.best.get(
                    "best_round", len(next(iter(result.history.values()))) - 1
                )
                + 1,
                "external": job.external,
                "seconds": result.seconds,
                "peak_worker_rss_mb": max(r["peak_rss_mb"] for r in result.ranks),
                "history": result.history,
                **result.best,
                "restarts": len(result.restarts),
                "restarted": result.restarts,
            },
        )

    # -- saving and loading ---------------------------------------------------------------

    def _needs_trust(self) -> Sequence[str]:
        own = self._own_objective()
        return [*super()._needs_trust(), *([] if own is None else [own])]

    def _own_objective(self) -> str | None:
        """Return the dotted path of an objective that is a function."""
        found = self._resolved()
        return dotted_name(found) if callable(found) else None

    def _save_object(self, folder: Folder, name: str) -> None:
        own = self._own_objective()
        if own is not None:
            try:
                resolve_objective(own, regression=self._is_regression)
            except ConfigurationError:
                raise ConfigurationError(
                    "param_not_saved",
                    f"The objective {own!r} cannot be imported, so that it cannot be saved without "
                    "a pickle.",
                    "Define it in an installed module. The fitted model can be saved in any case.",
                ) from None
        folder.write_json(f"{name}.json", {"name": own or self.getOrDefault(self.objective)})

    def _load_object(self, saved: Saved, name: str) -> None:
        if not saved.has(f"{name}.json"):
            return
        found = saved.read_json(f"{name}.json")["name"]
        if not isinstance(found, str):
            raise TypeError(f"{name} must be a text")
        if ":" not in found and found not in saved.trusted:
            raise StorageError(
                "untrusted_type",
                f"{saved.folder.location!r} calls the function {found!r} when it is fitted.",
                f"If you trust that function, load with trusted=[{found!r}].",
            )
        self._set(objective=found)


def _log_event(event: dict[str, Any]) -> None:
    match event["event"]:
        case "round":
            values = ", ".join(f"{k} {v:.5g}" for k, v in event["metrics"].items())
            _logger.info("round %d: %s", event["number"] + 1, values)
        case "resumed":
            _logger.info("resumes after round %d", event["rounds"])
