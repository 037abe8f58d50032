"""Base of the estimators over silos: a federation of a DataFrame, the rounds, the model's files."""

from __future__ import annotations

import io
import json
import logging
import secrets
import tempfile
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from sparkml_dist.dataset.columns import Task
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.deep.network.builder_spec import resolve_builder
from sparkml_dist.errors import ConfigurationError, DataError, nearest
from sparkml_dist.federated.estimators.federated_model import LEDGER, FederatedModel, record_of
from sparkml_dist.federated.estimators.federated_params import HasFederation
from sparkml_dist.federated.estimators.model_files import write_parameters
from sparkml_dist.federated.federation import Federation
from sparkml_dist.federated.strategies.rounds import Trained, train_rounds
from sparkml_dist.federated.training.flat_model import FlatModel, Floats
from sparkml_dist.federated.training.fourier import Fourier
from sparkml_dist.federated.training.linear import Linear
from sparkml_dist.federated.training.moments_work import find_standardization
from sparkml_dist.federated.training.network import build_network
from sparkml_dist.federated.training.perceptron import Perceptron
from sparkml_dist.federated.training.standardization import Standardization
from sparkml_dist.kernels.functions.families import kernel_of
from sparkml_dist.models.loading import Saved
from sparkml_dist.models.saved_params import SavedParams
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.lock import FolderLock
from sparkml_dist.persistence.model_folder import ModelFile
from sparkml_dist.persistence.saved_folder import (
    SavedFolder,
    begin_fit,
    check_free_for_fit,
    contents,
)
from sparkml_dist.persistence.workspace import temporary_folder

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["FederatedEstimator"]

_logger = logging.getLogger(__name__)

_FLAT = ("perceptron", "fourier")
_FEDERATION, _KEY = "federation", "coordinator.key"


class FederatedEstimator(SavedParams, HasFederation):
    """Base of the estimators over silos; a subclass sets its task and the class of its model."""

    _task: ClassVar[Task] = "classification"
    _linear: ClassVar[str] = "logistic"
    _model_class: ClassVar[type[FederatedModel]]
    _object_params: ClassVar[tuple[str, ...]] = ("strategy", "aggregation")

    # -- of a DataFrame -------------------------------------------------------------------

    def _fit(self, dataset: DataFrame | PartitionedDataset) -> FederatedModel:
        if isinstance(dataset, PartitionedDataset):
            raise ConfigurationError(
                "invalid_param",
                f"{type(self).__name__} is fitted on a DataFrame with siloCol, not on one "
                "partitioned data set.",
                "Give one for each silo: fit_federated(Federation.of_datasets({…})).",
            )
        self._check_params()
        silo = self.getOrDefault(self.siloCol)
        if silo not in dataset.columns:
            raise DataError(
                "column_not_found",
                f"There is no column {silo!r} for siloCol.{nearest(silo, dataset.columns)}",
                f"Columns are: {', '.join(dataset.columns[:12])}.",
            )
        spark = dataset.sparkSession

        def frame(folder: Folder) -> Federation:
            return Federation.from_frame(
                dataset,
                silo,
                label=self.getOrDefault(self.labelCol),
                features=self._features_of(dataset),
                key=self._value(self.keyCol),
                categorical=self._value(self.categoricalCols) or (),
                task=self._task,
                seed=self.getOrDefault(self.seed),
                folder=folder.location,
            )

        home = (
            Folder.at(self.getOrDefault(self.modelDir))
            if self.isSet(self.modelDir)
            else temporary_folder(spark, "model", "modelDir")
        )
        return self._fit_at(home, frame)

    def _features_of(self, df: DataFrame) -> list[str] | None:
        if self.isSet(self.featuresCols):
            names: list[str] = self.getOrDefault(self.featuresCols)
            return names
        column = self.getOrDefault(self.featuresCol)
        if self.isSet(self.featuresCol) or column in df.columns:
            return [column]
        # Without the column of silos, which is no feature.
        others = {self.getOrDefault(self.labelCol), self.getOrDefault(self.siloCol)}
        others.add(self._value(self.keyCol))
        return [name for name in df.columns if name not in others]

    # -- of a federation ------------------------------------------------------------------

    def _fit_federation(self, federation: Federation) -> FederatedModel:
        """Fit a model over silos that are elsewhere; see `fit_federated`."""
        self._check_params()
        if federation.schema.is_regression != (self._task == "regression"):
            raise ConfigurationError(
                "task_differs",
                f"{type(self).__name__} is for a {self._task}, and the label "
                f"{federation.schema.label.column!r} of the silos is for another task.",
                "Take the other of FederatedClassifier and FederatedRegressor.",
            )
        home = (
            Folder.at(self.getOrDefault(self.modelDir))
            if self.isSet(self.modelDir)
            else Folder.at(tempfile.mkdtemp(prefix="sparkml_dist-model-"))
        )
        return self._fit_at(home, lambda _: federation)

    # -- both -----------------------------------------------------------------------------

    def _check_params(self) -> None:
        """Raise for Params that cannot be, before the first job."""
        self._check_settings()
        self._kind()
        if not self.isSet(self.modelDir):
            return
        check_free_for_fit(
            Folder.at(self.getOrDefault(self.modelDir)),
            overwrite=self.getOrDefault(self.overwrite),
            resume=self.getOrDefault(self.resume),
        )

    def _kind(self) -> str:
        """Return the kind of the model: a name, or ``"network"``."""
        model = self.getOrDefault(self.model)
        if isinstance(model, str) and model in (self._linear, *_FLAT):
            return model
        if model is None or model in ("logistic", "linear"):
            raise ConfigurationError(
                "invalid_param",
                f"model of {type(self).__name__} must be {self._linear!r}, 'perceptron', "
                f"'fourier', or a network. Got {model!r}.",
            )
        resolve_builder(model)
        return "network"

    def _plan(self) -> dict[str, Any]:
        """Return JSON values that decide the outcome."""
        left_out = ("modelDir", "overwrite", "resume", "predictionCol", "model")
        plan = {
            p.name: self.getOrDefault(p)
            for p in self.params
            if self.isDefined(p) and p.name not in (*left_out, *self._object_params)
        }
        model = self.getOrDefault(self.model)
        plan["model"] = model if isinstance(model, str) else getattr(model, "__name__", "builder")
        plan["strategy"] = self._strategy().to_dict()
        plan["aggregation"] = self._aggregation().to_dict()
        found: dict[str, Any] = json.loads(json.dumps({"class": type(self).__name__, **plan}))
        return found

    def _fit_at(self, where: Folder, federate: Any) -> FederatedModel:
        given = self.isSet(self.modelDir)
        # What is refused before its first round leaves nothing behind.
        new, begun = not given or not contents(where), False
        application = f"the fit of a {type(self).__name__}"
        try:
            with FolderLock(where, application=application) if given else nullcontext() as lock:
                home = begin_fit(
                    where,
                    self._plan(),
                    overwrite=self.getOrDefault(self.overwrite),
                    resume=self.getOrDefault(self.resume),
                )
                own = home.content.child(_FEDERATION)
                federation = federate(own)
                begun = federation.schema is not None
                model = self._train(federation, home)
                for output in model.params:
                    if self.hasParam(output.name) and self.isDefined(self.getParam(output.name)):
                        model._set(**{output.name: self.getOrDefault(self.getParam(output.name))})
                if lock is not None:
                    lock.check()
                model._save_manifest(home)
                own.delete()
        except BaseException:
            if new and (not given or not begun):
                where.delete()
            raise
        return model

    def _train(self, federation: Federation, home: SavedFolder) -> FederatedModel:
        started = time.perf_counter()
        folder = home.content
        schema = federation.schema
        self._check_classes(federation)
        standardization, rows = self._standardization(federation)
        model, start = self._built(federation, standardization)
        settings = self._round_settings(
            len(federation.names), model, rows / len(federation.names), _noise_key(folder)
        )
        if settings.privacy is not None and model.buffer_size:
            raise ConfigurationError(
                "conflicting_params",
                "Differential privacy does not go with batch normalization, whose statistics mix "
                "rows and have no noise.",
                "Take layer or group normalization.",
            )
        trained = train_rounds(
            federation,
            model,
            self._strategy(),
            settings,
            standardization,
            rows,
            start=start,
            collect=self.getOrDefault(self.personalModels),
        )
        files = [write_parameters(folder, "parameters", model, trained.parameters, trained.buffers)]
        personal = {}
        for i, (name, own) in enumerate(sorted(trained.personal.items())):
            files.append(write_parameters(folder, f"personal-{i:06d}", model, *own))
            personal[name] = record_of(files[-1])
        files.append(_write_ledger(folder, federation, hides_silos=self._hides_silos))
        content = {
            "model": model.to_dict(),
            "standardization": standardization.to_dict(),
            "parameters": record_of(files[0]),
            "personal": personal,
        }
        summary = self._summary(federation, trained, rows, time.perf_counter() - started)
        return self._model_class(folder, schema.features, schema.label, files, content, summary)

    def _standardization(self, federation: Federation) -> tuple[Standardization, int]:
        """Return the standardization, and the number of training rows of all silos."""
        counts = tuple(federation.schema.features.category_counts())
        if self.getOrDefault(self.standardization):
            # Sums of a feature are larger than updates of a model.
            secure = self._secure(len(federation.names))
            ranges = dict.fromkeys(("number", "sum", "square"), 1e9)
            return find_standardization(
                federation, self._validation(), secure=secure, ranges=ranges
            )
        width = len(counts)
        plain = Standardization(np.zeros(width), np.ones(width), counts)
        rows = federation.schema.rows
        if len(rows) < len(federation.names):
            raise ConfigurationError(
                "conflicting_params",
                "Without standardization the coordinator needs the silos' numbers of rows, and "
                "their policies do not tell them.",
                "Set tell_rows in the silos' policies.",
            )
        share = 1 - self.getOrDefault(self.validationFraction)
        return plain, max(1, round(sum(rows[name] for name in federation.names) * share))

    def _built(
        self, federation: Federation, standardization: Standardization
    ) -> tuple[FlatModel, tuple[Floats, Floats] | None]:
        kind, width = self._kind(), standardization.width
        outputs = federation.schema.n_classes
        penalty, seed = self.getOrDefault(self.alpha), self.getOrDefault(self.seed) % 2**32
        if kind == "network":
            built = build_network(
                self.getOrDefault(self.model),
                federation.schema.n_features,
                outputs,
                standardization,
                input_shape=self._value(self.inputShape),
                seed=seed,
                total_steps=self.getOrDefault(self.rounds),
            )
            return built.network, (built.parameters, built.buffers)
        if kind == "perceptron":
            return Perceptron(width, outputs, self.getOrDefault(self.hiddenUnits)), None
        if kind == "fourier":
            scale = self._value(self.lengthScale) or max(1.0, width) ** 0.5
            number = self.getOrDefault(self.numFourierFeatures)
            return Fourier(width, outputs, kernel_of("rbf", scale), number, seed, penalty), None
        return Linear(width, outputs, penalty), None

    def _check_classes(self, federation: Federation) -> None:
        classes = federation.schema.classes
        if not federation.schema.is_regression and len(classes) < 2:
            raise DataError(
                "one_class",
                f"The label {federation.schema.label.column!r} has the classes {classes} only.",
                "A classifier needs rows of two classes.",
            )

    def _summary(
        self, federation: Federation, trained: Trained, rows: int, seconds: float
    ) -> dict[str, Any]:
        ledger = federation.audit()
        others = ("schema", "agree", "evaluate", "training_moments", "personal")
        of_rounds = ledger[~ledger["kind"].isin(others)]
        number = max(1, sum(len(told["silos"]) for told in trained.history))
        if self._hides_silos:  # who took part is not told: as many as are expected
            share = float(self.getOrDefault(self.participation))
            number = max(1, round(share * len(federation.names) * len(trained.history)))
        return {
            "strategy": self._strategy().to_dict(),
            "aggregation": self._aggregation().to_dict(),
            "rounds": trained.history,
            "silos": trained.silos,
            "rows": rows,
            "parameters": trained.model.size,
            "epsilon": trained.epsilon,
            "bytes": int(ledger["bytes"].sum()),
            "bytes_per_silo_round": float(of_rounds["bytes"].sum() / number),
            "seconds": round(seconds, 3),
        }

    # -- saving and loading ---------------------------------------------------------------

    def _saved_params(self) -> dict[str, Any]:
        model = self._value(self.model)
        if model is not None and not isinstance(model, str):
            raise ConfigurationError(
                "param_not_saved",
                f"The model {getattr(model, '__name__', model)!r} is a function, which cannot be "
                "saved without a pickle.",
                "Set it as 'FILE.py:FUNCTION'. The fitted model can be saved in any case.",
            )
        return super()._saved_params()

    def _save_object(self, folder: Folder, name: str) -> None:
        found = self._strategy() if name == "strategy" else self._aggregation()
        folder.write_json(f"{name}.json", found.to_dict())

    def _load_object(self, saved: Saved, name: str) -> None:
        if not saved.has(f"{name}.json"):
            return
        from sparkml_dist.federated.strategies.aggregation.aggregation_of import aggregation_of
        from sparkml_dist.federated.strategies.strategy_of import strategy_of

        read: Any = strategy_of if name == "strategy" else aggregation_of
        try:
            self._set(**{name: read(saved.read_json(f"{name}.json"))})
        except ConfigurationError as error:
            raise ValueError(error.message) from error


def _noise_key(folder: Folder) -> bytes:
    """Return the secret of the coordinator's noise, which a fit that is resumed finds again."""
    own = folder.child(_FEDERATION)
    if not own.exists(_KEY):
        own.write_bytes(_KEY, secrets.token_bytes(32))
    return own.read_bytes(_KEY)


def _write_ledger(folder: Folder, federation: Federation, *, hides_silos: bool) -> ModelFile:
    stream = io.BytesIO()
    ledger = federation.audit()
    if hides_silos:  # the model may be published: without who took part in which round
        ledger = ledger[ledger["kind"].isin(("schema", "agree"))]
    ledger.to_parquet(stream, index=False)
    folder.write_bytes(LEDGER, stream.getvalue())
    return ModelFile.of(folder, LEDGER)
