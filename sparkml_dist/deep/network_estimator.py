"""Base of the Keras estimators: runs a training by ranks over the shards."""

from __future__ import annotations

import hashlib
import inspect
import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from sparkml_dist.cluster.gang import check_gang
from sparkml_dist.cluster.gang_params import HasTimeouts
from sparkml_dist.cluster.shipping import shipped
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.dataset.schema import FeatureSchema
from sparkml_dist.dataset.subsets import Validation
from sparkml_dist.deep.input.inputs import InputSpec
from sparkml_dist.deep.input.plan import default_lanes
from sparkml_dist.deep.input.rows import TrainingRows
from sparkml_dist.deep.input.target import Target
from sparkml_dist.deep.input.training_job import TrainingJob
from sparkml_dist.deep.network.builder_spec import BuilderFile, resolve_builder
from sparkml_dist.deep.network.builders import BUILDERS
from sparkml_dist.deep.network_model import NetworkModel
from sparkml_dist.deep.params.checkpoint_params import HasCheckpoints
from sparkml_dist.deep.params.checkpoint_settings import CHECKPOINTS
from sparkml_dist.deep.params.coupling_params import HasCoupling
from sparkml_dist.deep.params.network_params import HasNetwork
from sparkml_dist.deep.training import (
    REQUIRED,
    TrainingResult,
    rows_per_step,
    train_network,
)
from sparkml_dist.errors import ConfigurationError, StorageError
from sparkml_dist.models.loading import Saved
from sparkml_dist.models.shard_estimator import ShardEstimator
from sparkml_dist.persistence.checkpoints import CheckpointStore
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.model_folder import ModelFile

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["NetworkEstimator"]

_logger = logging.getLogger(__name__)

RESULT = "training.json"


class NetworkEstimator(ShardEstimator, HasNetwork, HasCoupling, HasCheckpoints, HasTimeouts):
    """Base of the Keras estimators; a subclass sets the class of its model."""

    _object_params: ClassVar[tuple[str, ...]] = ("builder", "callbacks")
    _growing: ClassVar[tuple[str, ...]] = ("epochs",)
    #: Class of the fitted model.
    _model_class: ClassVar[type[NetworkModel]]

    # -- before any job -------------------------------------------------------------------

    def _check_params(self, spark: SparkSession) -> None:
        if not self.isSet(self.builder):
            raise ConfigurationError(
                "no_builder",
                f"{type(self).__name__} needs a builder.",
                "Pass builder='mlp', 'cnn', or a function that returns a compiled Keras model.",
            )
        resolve_builder(self.getOrDefault(self.builder))
        for name in ("numRanks", "epochs", "batchSize"):
            value = self._value(self.getParam(name))
            if value is not None and value < 1:
                raise ConfigurationError("invalid_param", f"{name} must be >= 1. Got {value}.")
        fraction = self.getOrDefault(self.validationFraction)
        if not 0 <= fraction < 1:
            raise ConfigurationError(
                "invalid_param",
                f"validationFraction must be >= 0 and < 1. Got {fraction}.",
            )
        self._stopping()
        self._coupling()
        if self.isSet(self.callbacks):
            _resolve_callbacks(self.getOrDefault(self.callbacks))
        self._checkpoint_settings()
        seconds = self._timeouts()["slot_timeout"]
        check_gang(spark, self.getOrDefault(self.numRanks), REQUIRED, slot_timeout=seconds)

    def _check_data(self, data: PartitionedDataset) -> None:
        self._inputs(data).check(data.manifest)
        self._target(data)

    def _plan(self, data: PartitionedDataset) -> dict[str, Any]:
        return {
            "class": type(self).__name__,
            "data": data.manifest.content_sha256,
            "builder": _identity(self.getOrDefault(self.builder)),
            # Without the ranks: a training may resume with another number, and the same batches.
            "epochs": self.getOrDefault(self.epochs),
            "batchSize": self._value(self.batchSize),
            "inputs": self._inputs(data).to_dict(),
            "seed": self.getOrDefault(self.seed),
            "validationFraction": self.getOrDefault(self.validationFraction),
            "coupling": asdict(self._coupling()),
            "stopping": None if (stopping := self._stopping()) is None else asdict(stopping),
            "callbacks": _identity(self._value(self.callbacks) or ""),
        }

    # -- the fit --------------------------------------------------------------------------

    def _grow(self, folder: Folder) -> None:
        # The training goes on from the last checkpoint, which keepCheckpoints keeps.
        folder.delete_file(RESULT)

    def _batch_size(self, data: PartitionedDataset) -> int:
        given: int | None = self._value(self.batchSize)
        rows = round(data.n_rows * (1 - self.getOrDefault(self.validationFraction)))
        return given or rows_per_step(rows, self.getOrDefault(self.numRanks))

    def _inputs(self, data: PartitionedDataset) -> InputSpec:
        """Return the conversion of features to the network's inputs."""
        return InputSpec.build(data.schema, self._value(self.inputs), self._value(self.inputShape))

    def _target(self, data: PartitionedDataset) -> Target:
        """Return the target of the network."""
        return Target.of(data.manifest.label)

    def _used(
        self,
        data: PartitionedDataset,
        inputs: InputSpec,
    ) -> tuple[FeatureSchema, InputSpec]:
        """Return the columns that the network needs to predict, and its inputs in terms of them."""
        return data.schema, inputs

    def _rows(self, data: PartitionedDataset) -> TrainingRows:
        """Return the training rows."""
        fraction = self.getOrDefault(self.validationFraction)
        validation = Validation(fraction, self.getOrDefault(self.seed)) if fraction else None
        return TrainingRows(data, validation)

    def _job(self, data: PartitionedDataset, folder: Folder) -> TrainingJob:
        """Return the description of the training for the ranks."""
        ranks, coupling = self.getOrDefault(self.numRanks), self._coupling()
        at_once = ranks * self._batch_size(data)
        return TrainingJob(
            rows=self._rows(data),
            builder=_travelling(self.getOrDefault(self.builder)),
            folder=folder,
            target=self._target(data),
            inputs=self._inputs(data),
            epochs=self.getOrDefault(self.epochs),
            batch_size=at_once * coupling.accumulation_steps,
            lanes=default_lanes(ranks, at_once),
            seed=self.getOrDefault(self.seed) % 2**32,
            coupling=coupling,
            stopping=self._stopping(),
            callbacks=_travelling(self.getOrDefault(self.callbacks))
            if self.isSet(self.callbacks)
            else None,
            tensorboard=self.getOrDefault(self.tensorboard),
            checkpoint=self._checkpoint_settings(),
        )

    def _fit_shards(
        self, spark: SparkSession, data: PartitionedDataset, folder: Folder
    ) -> NetworkModel:
        job = self._job(data, folder)
        if folder.exists(RESULT):
            _logger.info("the network in %s is trained already", folder.location)
            result = TrainingResult(**folder.read_json(RESULT))
        else:
            result = train_network(
                spark,
                job,
                self.getOrDefault(self.numRanks),
                on_event=_log_event,
                description=type(self).__name__,
                **self._timeouts(),
            )
            folder.write_json(RESULT, asdict(result))
        CheckpointStore(folder.child(CHECKPOINTS)).prune(self._checkpoint_settings().keep)
        return self._model(data, folder, job, result)

    def _model(
        self, data: PartitionedDataset, folder: Folder, job: TrainingJob, result: TrainingResult
    ) -> NetworkModel:
        network = result.model
        schema, inputs = self._used(data, job.inputs)
        return self._model_class(
            folder,
            schema,
            data.manifest.label,
            [ModelFile(network["file"], network["bytes"], network["sha256"])],
            {"inputs": inputs.to_dict(), "facts": network["facts"]},
            {
                "ranks": result.ranks,
                "steps": result.steps,
                "parameters": network["parameters"],
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
        held = [self._file_of(name) for name in self._object_params]
        return [*super()._needs_trust(), *(str(file) for file in held if file is not None)]

    def _file_of(self, name: str) -> BuilderFile | None:
        """Return the file that a Param names, with its content; None for other values."""
        spec = self._value(self.getParam(name))
        if spec is None or callable(spec) or spec in BUILDERS:
            return None
        found = resolve_builder(spec)
        return found if isinstance(found, BuilderFile) else None

    def _save_object(self, folder: Folder, name: str) -> None:
        spec, file = self.getOrDefault(self.getParam(name)), self._file_of(name)
        if file is not None:
            # The content is saved too: later changes of the file have no effect.
            folder.write_bytes(f"{name}.py", file.source.encode())
            record = {"file": Path(file.path).name, "function": file.function}
        elif isinstance(spec, str):
            record = {"name": spec}
        else:
            raise ConfigurationError(
                "param_not_saved",
                f"The {name} {getattr(spec, '__name__', spec)!r} is a function, which cannot be "
                "saved without a pickle.",
                "Set it as 'FILE.py:FUNCTION'. The fitted model can be saved in any case.",
            )
        folder.write_json(f"{name}.json", record)

    def _load_object(self, saved: Saved, name: str) -> None:
        if not saved.has(f"{name}.json"):
            return
        record = saved.read_json(f"{name}.json")
        if "name" in record:
            if record["name"] not in BUILDERS:
                raise ValueError(f"{name} must be one of {', '.join(BUILDERS)}")
            self._set(**{name: record["name"]})
            return
        source = saved.read_bytes(f"{name}.py").decode()
        file = BuilderFile(str(record["file"]), str(record["function"]), source)
        if str(file) not in saved.trusted:
            raise StorageError(
                "untrusted_type",
                f"{saved.folder.location!r} runs the function {file.function!r} of "
                f"{saved.folder.uri(f'{name}.py')!r} when it is fitted.",
                f"Read that file; if you trust it, load with trusted=[{str(file)!r}].",
            )
        self._set(**{name: file})


def _resolve_callbacks(spec: Any) -> None:
    if not callable(spec) and ":" not in str(spec):
        raise ConfigurationError(
            "not_callbacks",
            "callbacks must be 'FILE.py:FUNCTION' or a function that returns a list of Keras "
            f"callbacks. Got {spec!r}.",
            "Callback objects cannot be sent to rank 0: return them from a function.",
        )
    resolve_builder(spec)


def _travelling(spec: Any) -> bytes:
    function = resolve_builder(spec)
    return shipped(function, *([] if isinstance(function, BuilderFile) else [function]))


def _identity(spec: Any) -> str:
    """Return a text that changes with the code of the builder itself."""
    if isinstance(spec, str) and ":" not in spec:
        return spec
    function = resolve_builder(spec)
    if isinstance(function, BuilderFile):
        name, source = function.function, function.source
    else:
        name = getattr(function, "__qualname__", type(function).__name__)
        try:
            source = inspect.getsource(function)
        except (OSError, TypeError):
            source = name
    return f"{name}/{hashlib.sha256(source.encode()).hexdigest()[:16]}"


def _log_event(event: dict[str, Any]) -> None:
    if event["event"] == "callbacks_ignored":
        _logger.warning(
            "callbacks are called for epochs, not for batches: batch hooks of %s are ignored",
            ", ".join(event["callbacks"]),
        )
    if event["event"] != "epoch":
        return
    logs = ", ".join(f"{k} {v:.4g}" for k, v in event["logs"].items() if isinstance(v, float))
    _logger.info("epoch %d: %s (%.1f s)", event["epoch"] + 1, logs, event["seconds"])
