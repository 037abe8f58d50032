"""Base of the estimators whose rows belong to silos."""

from __future__ import annotations

import json
import tempfile
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.ml.param.shared import HasPredictionCol, HasSeed

from sparkml_dist.dataset.columns import Task
from sparkml_dist.errors import ConfigurationError, DataError, nearest
from sparkml_dist.federated.federation import Federation
from sparkml_dist.models.saved_params import SavedParams
from sparkml_dist.models.shard_model import ShardModel
from sparkml_dist.params import HasColumns, HasModelDir, param
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.lock import FolderLock
from sparkml_dist.persistence.saved_folder import begin_fit, check_free_for_fit
from sparkml_dist.persistence.workspace import temporary_folder

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from sparkml_dist.federated.sums import SumProtocol

__all__ = ["HasSecureSums", "HasSilos", "SiloEstimator", "federation_of", "federation_summary"]


class HasSilos(Params):
    """Whose rows are whose, and what becomes of silos that do not answer."""

    siloCol: Any = param("siloCol", "column with the silo of each row", TypeConverters.toString)
    minSilos: Any = param(
        "minSilos", "silos that must answer in every round (>= 1)", TypeConverters.toInt
    )
    federationDir: Any = param(
        "federationDir",
        "folder where fit keeps silos' shards, rounds and ledgers, and goes on from them; a "
        "temporary one when not set",
        TypeConverters.toString,
    )


class HasSecureSums(Params):
    """Whether the coordinator sees the parts of sums."""

    secure: Any = param(
        "secure",
        "whether sums are formed so that the coordinator sees no silo's part",
        TypeConverters.toBoolean,
    )

    def _sum_protocol(self) -> SumProtocol | None:
        """Return the protocol of the sums; None for the plain one."""
        if not self.getOrDefault(self.secure):
            return None
        from sparkml_dist.federated.privacy import SecureSum

        return SecureSum(bits=64)


class SiloEstimator(SavedParams, HasSilos, HasColumns, HasModelDir, HasPredictionCol, HasSeed):
    """Base of the estimators that learn from silos: a column of a DataFrame, or a federation.

    A subclass validates its own Params in `_check_params`, returns in `_plan` what decides the
    outcome, and fits in `_fit_silos`.
    """

    _task: ClassVar[Task] = "classification"

    @abstractmethod
    def _check_params(self) -> None:
        """Raise `ConfigurationError` for invalid Params; runs before any job."""

    @abstractmethod
    def _plan(self) -> dict[str, Any]:
        """Return JSON values that decide the outcome; a resumed fit must have equal ones."""

    @abstractmethod
    def _fit_silos(self, federation: Federation, folder: Folder) -> ShardModel:
        """Fit; write the model's files to `folder`."""

    def _fit(self, dataset: DataFrame) -> ShardModel:
        self._check()
        with federation_of(
            self,
            dataset,
            label=self.getOrDefault(self.labelCol),
            features=self._features_of(dataset),
            task=self._task,
            weight=self._value(self.weightCol),
            key=self._value(self.keyCol),
            categorical=self._value(self.categoricalCols) or (),
        ) as federation:
            return self._fitted(
                federation, lambda: temporary_folder(dataset.sparkSession, "model", "modelDir")
            )

    def fit_federated(self, federation: Federation) -> ShardModel:
        """Fit on the silos of a federation, wherever they are.

        Parameters
        ----------
        federation : Federation
            Its label decides the columns; `siloCol` and the Params of columns have no effect.

        Returns
        -------
        ShardModel
            In `modelDir`, or in a temporary folder of this machine.
        """
        with self._with_hint():
            return self._fit_federation(federation)

    def _fit_federation(self, federation: Federation) -> ShardModel:
        """Fit a model over silos that are elsewhere; see `fit_federated`."""
        self._check()
        return self._fitted(federation, lambda: Folder.at(tempfile.mkdtemp(prefix="federated-")))

    def _check(self) -> None:
        least = self.getOrDefault(self.minSilos)
        if least < 1:
            raise ConfigurationError("invalid_param", f"minSilos must be >= 1. Got {least}.")
        self._check_params()
        if self.isSet(self.modelDir):
            check_free_for_fit(
                Folder.at(self.getOrDefault(self.modelDir)),
                overwrite=self.getOrDefault(self.overwrite),
                resume=self.getOrDefault(self.resume),
            )

    def _features_of(self, df: DataFrame) -> list[str] | None:
        if self.isSet(self.featuresCols):
            names: list[str] = self.getOrDefault(self.featuresCols)
            return names
        column = self.getOrDefault(self.featuresCol)
        return [column] if self.isSet(self.featuresCol) or column in df.columns else None

    def _fitted(self, federation: Federation, temporary: Any) -> ShardModel:
        if federation.schema.is_regression != (self._task == "regression"):
            raise ConfigurationError(
                "task_differs",
                f"{type(self).__name__} is for a {self._task}, and the silos' label "
                f"{federation.schema.label.column!r} is for another task.",
                "Take the estimator of the other task.",
            )
        if not self.isSet(self.modelDir):
            return self._saved(federation, temporary(), resume=False)
        folder = Folder.at(self.getOrDefault(self.modelDir))
        with FolderLock(folder, application=f"the fit of a {type(self).__name__}") as lock:
            model = self._saved(federation, folder, resume=self.getOrDefault(self.resume))
            lock.check()
        return model

    def _saved(self, federation: Federation, folder: Folder, *, resume: bool) -> ShardModel:
        plan = {"class": type(self).__name__, "silos": federation.names, **self._plan()}
        home = begin_fit(
            folder,
            json.loads(json.dumps(plan)),
            overwrite=self.getOrDefault(self.overwrite),
            resume=resume,
        )
        model = self._fit_silos(federation, home.content)
        model.summary |= federation_summary(federation)
        for output in model.params:
            if self.hasParam(output.name) and self.isDefined(self.getParam(output.name)):
                model._set(**{output.name: self.getOrDefault(self.getParam(output.name))})
        model._save_manifest(home)
        return model

    def copy(self, extra: dict[Param, Any] | None = None) -> Any:
        """Return a copy with the same uid and changed Params."""
        for name in self._object_params if extra else ():
            key = self.getParam(name)
            if extra is not None and key in extra:
                extra[key] = key.typeConverter(extra[key])
        return super().copy(extra)


@contextmanager
def federation_of(
    estimator: Any,
    df: DataFrame,
    *,
    label: str,
    features: Sequence[str] | None,
    **more: Any,
) -> Iterator[Federation]:
    """Yield the federation of a DataFrame's silos; a temporary folder is deleted after the fit.

    Parameters
    ----------
    estimator : estimator with `HasSilos` and `HasSeed`
    df : pyspark.sql.DataFrame
    label : str
    features : sequence of str, optional
    more
        As for `Federation.from_frame`.
    """
    silo = estimator.getOrDefault(estimator.siloCol)
    if silo not in df.columns:
        raise DataError(
            "column_not_found",
            f"There is no column of silos {silo!r}.{nearest(silo, df.columns)}",
            f"Columns are: {', '.join(df.columns[:12])}.",
        )
    if estimator.isSet(estimator.federationDir):
        folder, temporary = Folder.at(estimator.getOrDefault(estimator.federationDir)), False
    else:
        folder = temporary_folder(df.sparkSession, "federation", "federationDir")
        temporary = True
    try:
        with Federation.from_frame(
            df,
            silo,
            label=label,
            features=features,
            folder=folder.location,
            seed=estimator.getOrDefault(estimator.seed),
            **more,
        ) as federation:
            yield federation
    finally:
        if temporary:
            folder.delete()


def federation_summary(federation: Federation) -> dict[str, Any]:
    """Return what a model's summary holds of its federation: silos, rounds, bytes and ε."""
    ledger = federation.audit()
    answers = ledger[ledger["direction"] == "answer"]
    rounds = int(federation.round)
    silos = len(federation.names)
    epsilon = ledger["epsilon"].dropna()
    found: Mapping[str, Any] = {
        "silos": list(federation.names),
        "left_out": dict(federation.left_out),
        "rounds": rounds,
        "bytes_per_silo_round": float(ledger["bytes"].sum() / max(1, silos * rounds)),
        "answer_bytes": int(answers["bytes"].sum()),
        "epsilon": float(epsilon.max()) if len(epsilon) else None,
    }
    return dict(found)
