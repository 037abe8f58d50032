"""Calibration of any classifier's probabilities, on held-out rows."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar

from pyspark.ml.base import Estimator
from pyspark.ml.param import Param, TypeConverters
from pyspark.ml.param.shared import HasPredictionCol, HasSeed, HasWeightCol

from sparkml_dist.dataset.hashing import salt, xxhash64
from sparkml_dist.dataset.splits import split
from sparkml_dist.ensemble.calibration.histograms import fit_calibration
from sparkml_dist.ensemble.calibration.model import BASE, CalibratedClassificationModel
from sparkml_dist.errors import ConfigurationError, DataError, StorageError, nearest
from sparkml_dist.models.classification_model import ShardClassificationModel
from sparkml_dist.models.loading import Saved
from sparkml_dist.models.persistable import save_inside
from sparkml_dist.models.saved_params import SavedParams
from sparkml_dist.models.shard_estimator import ShardEstimator
from sparkml_dist.params import HasClassColumns, HasModelDir, constructor, param
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.saved_folder import SavedFolder, begin_fit
from sparkml_dist.persistence.workspace import temporary_folder

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["CalibratedClassifier"]

METHODS = ("sigmoid", "isotonic", "temperature")


class CalibratedClassifier(
    SavedParams,
    HasClassColumns,
    HasModelDir,
    HasPredictionCol,
    HasWeightCol,
    HasSeed,
    Estimator,
):
    """Calibrates a classifier's probabilities, so that they match observed frequencies.

    Either a fitted ``model`` is calibrated on the rows given to `fit`, which it must not have seen;
    or an ``estimator`` is fitted on one part of the rows and calibrated on the other. One pass over
    the calibration rows adds up histograms of the scores; the curves are fitted to the histograms,
    so that the rows need not fit in memory. Classes are calibrated one against the rest and
    normalised, as in `sklearn.calibration.CalibratedClassifierCV`.

    Parameters
    ----------
    model : ShardClassificationModel, optional
        A fitted classifier of any kind.
    estimator : estimator, optional
        A classifier to fit, such as a `BaggingClassifier`, instead of ``model``.
    method : {"sigmoid", "isotonic", "temperature"}, default="sigmoid"
        A sigmoid of the probability; an isotonic curve, for a thousand rows or more; or one
        temperature for all probabilities, which does not change predictions.
    validationFraction : float, default=0.2
        With ``estimator``: share of the rows to calibrate on.
    keyCol : str, optional
        With ``estimator``: column that identifies a row, or a group of rows that must stay
        together; the estimator's own by default, or else a hash of the row's content.
    weightCol : str, optional
        Row weights for the calibration; those of the estimator by default.
    seed : int, default=0
        Determines the rows to calibrate on. The draw is independent of `sparkml_dist.split`.
    predictionCol, probabilityCol, rawPredictionCol, predictedLabelCol : str, optional
        Names of the columns that the model adds; those of the calibrated model by default.
    modelDir, overwrite, resume
        Where the model is committed; the calibrated model is in ``base/``. A resumed fit keeps the
        committed members of the estimator.

    References
    ----------
    Platt (1999), "Probabilistic outputs for support vector machines and comparisons to
    regularized likelihood methods". Zadrozny, Elkan (2002), "Transforming classifier scores into
    accurate multiclass probability estimates". Niculescu-Mizil, Caruana (2005), "Predicting good
    probabilities with supervised learning". Guo, Pleiss, Sun, Weinberger (2017), "On calibration
    of modern neural networks".

    Examples
    --------
    >>> calibrated = CalibratedClassifier(model=model, method="sigmoid")
    >>> calibrated.fit(iris).transform(iris).select("probability").first()[0].size
    3
    """

    model: Any = param("model", "fitted classifier to calibrate")
    estimator: Any = param("estimator", "classifier to fit and calibrate, instead of model")
    method: Any = param("method", "'sigmoid', 'isotonic' or 'temperature'", TypeConverters.toString)
    validationFraction: Any = param(
        "validationFraction",
        "with estimator: share of the rows to calibrate on, between 0 and 1",
        TypeConverters.toFloat,
    )
    keyCol: Any = param(
        "keyCol",
        "with estimator: column that identifies a row; the estimator's own when not set",
        TypeConverters.toString,
    )

    _object_params: ClassVar[tuple[str, ...]] = ("model", "estimator")

    @constructor
    def __init__(
        self,
        *,
        model: Any = None,
        estimator: Any = None,
        method: str = "sigmoid",
        validationFraction: float = 0.2,
        keyCol: str | None = None,
        predictedLabelCol: str | None = None,
        probabilityCol: str | None = None,
        rawPredictionCol: str | None = None,
        modelDir: str | None = None,
        overwrite: bool = False,
        resume: bool = False,
        predictionCol: str | None = None,
        weightCol: str | None = None,
        seed: int = 0,
    ) -> None: ...

    def _fit(self, dataset: DataFrame) -> CalibratedClassificationModel:
        start = time.perf_counter()
        self._check_params(dataset)
        home = self._open_home(dataset)
        folder = home.content
        base: Any = self._value(self.model)
        weight, held = self._value(self.weightCol), dataset
        if base is None:
            estimator: Any = self.getOrDefault(self.estimator)
            key = self._value(self.keyCol) or _value_of(estimator, "keyCol")
            weight = weight or _value_of(estimator, "weightCol")
            fraction = self.getOrDefault(self.validationFraction)
            train, held = split(dataset, fraction, seed=self._split_seed(), key=key)
            base = self._fit_base(estimator, train, folder)
        before = time.perf_counter()
        calibration, summary = fit_calibration(
            held,
            base._task_scorer(),
            base.schema,
            base.label,
            self.getOrDefault(self.method),
            weight_col=weight,
        )
        now = time.perf_counter()
        seconds = {"calibrate": round(now - before, 3), "fit": round(now - start, 3)}
        model = CalibratedClassificationModel(
            folder,
            base.schema,
            base.label,
            save_inside(base, folder, BASE),
            {"calibration": calibration.to_dict(), "base": type(base).__name__},
            {"calibration": summary, "seconds": seconds},
        )
        model.trusted = base.trusted
        for output in model.params:
            own = self.hasParam(output.name) and self.isSet(self.getParam(output.name))
            source: Any = self if own else base
            model._set(**{output.name: source.getOrDefault(source.getParam(output.name))})
        model._save_manifest(home)
        return model

    def _check_params(self, dataset: Any) -> None:
        """Raise for invalid Params and data, before the first job."""
        model, estimator = self._value(self.model), self._value(self.estimator)
        if (model is None) == (estimator is None):
            raise ConfigurationError(
                "conflicting_params",
                "CalibratedClassifier needs either model or estimator. "
                f"Got {'neither' if model is None else 'both'}.",
                "Give model=fitted to calibrate it, or estimator=BaggingClassifier(…) to fit it "
                "first.",
            )
        if model is not None and not isinstance(model, ShardClassificationModel):
            raise ConfigurationError(
                "not_a_classifier",
                f"model must be a fitted classifier of sparkml_dist. Got {type(model).__name__}.",
                "Fit it first, or pass it as estimator."
                if isinstance(model, Estimator)
                else "Fit a BaggingClassifier, for example.",
            )
        if estimator is not None and not _is_classifier(estimator):
            raise ConfigurationError(
                "not_a_classifier",
                f"estimator must be a classifier of sparkml_dist. Got {type(estimator).__name__}.",
                "Pass a fitted classifier as model."
                if isinstance(estimator, ShardClassificationModel)
                else "Pass a BaggingClassifier, for example.",
            )
        if self.getOrDefault(self.method) not in METHODS:
            raise ConfigurationError(
                "invalid_param",
                f"method must be one of {', '.join(METHODS)}. "
                f"Got {self.getOrDefault(self.method)!r}.",
            )
        fraction = self.getOrDefault(self.validationFraction)
        if not 0 < fraction < 1:
            raise ConfigurationError(
                "invalid_param", f"validationFraction must be between 0 and 1. Got {fraction}."
            )
        if not hasattr(dataset, "sparkSession"):
            raise ConfigurationError(
                "dataframe_needed",
                f"CalibratedClassifier.fit takes a DataFrame. Got {type(dataset).__name__}.",
                "Fit the estimator on the shards, and calibrate it as model= on a DataFrame of "
                "other rows.",
            )
        for declared in (self.weightCol, self.keyCol):
            name = self._value(declared)
            if name is not None and name not in dataset.columns:
                raise DataError(
                    "column_not_found",
                    f"There is no column {name!r} for {declared.name}."
                    f"{nearest(name, dataset.columns)}",
                    f"Columns are: {', '.join(dataset.columns[:12])}.",
                )

    def _split_seed(self) -> int:
        # Not the seed itself: a caller who split the data with the same seed and passes the larger
        # part would leave no row to calibrate on.
        mixed = xxhash64(self.getOrDefault(self.seed), salt("calibration"))
        return int(mixed[0] >> 1)

    def _fit_base(self, estimator: Any, train: DataFrame, folder: Folder) -> Any:
        if _value_of(estimator, "modelDir") is not None:
            return estimator.fit(train)
        resume = self.getOrDefault(self.resume)
        inside = estimator.copy()
        inside.setParams(modelDir=folder.child(BASE).location, resume=resume, overwrite=False)
        return inside.fit(train)

    def _open_home(self, dataset: DataFrame) -> SavedFolder:
        if not self.isSet(self.modelDir):
            return SavedFolder(temporary_folder(dataset.sparkSession, "model", "modelDir"))
        folder, model = Folder.at(self.getOrDefault(self.modelDir)), self._value(self.model)
        if model is not None and (folder.same_place(model.folder) or folder.contains(model.folder)):
            raise StorageError(
                "output_is_input",
                f"modelDir {folder.location!r} holds the model that is to be calibrated.",
                "Choose another folder.",
            )
        return begin_fit(
            folder,
            {"class": type(self).__name__},
            overwrite=self.getOrDefault(self.overwrite),
            resume=self.getOrDefault(self.resume),
        )

    # -- PySpark's contract ---------------------------------------------------------------

    def copy(self, extra: dict[Param, Any] | None = None) -> Any:
        """Return a copy with the same uid and some Params changed."""
        return super().copy(extra)

    def _save_object(self, folder: Folder, name: str) -> None:
        save_inside(self.getOrDefault(self.getParam(name)), folder, name)

    def _load_object(self, saved: Saved, name: str) -> None:
        if not saved.names(head=f"{name}/"):
            return
        loaded = saved.inner(name)
        wanted = isinstance(loaded, ShardClassificationModel) or _is_classifier(loaded)
        if not wanted or isinstance(loaded, Estimator) != (name == "estimator"):
            raise StorageError(
                "altered_manifest",
                f"{saved.folder.uri(name)!r} holds a {type(loaded).__name__} where the Param "
                f"{name!r} belongs.",
                "It was altered: restore it, or save it again.",
            )
        self._set(**{name: loaded})


def _is_classifier(estimator: Any) -> bool:
    if isinstance(estimator, CalibratedClassifier):
        return True
    return isinstance(estimator, ShardEstimator) and estimator._task == "classification"


def _value_of(estimator: Any, name: str) -> Any:
    """Return the value of another estimator's Param, or None if it has none."""
    known = estimator.hasParam(name) and estimator.isDefined(estimator.getParam(name))
    return estimator.getOrDefault(estimator.getParam(name)) if known else None
