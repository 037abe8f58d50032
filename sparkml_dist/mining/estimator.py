"""What the mining estimators have in common: Params, saved and loaded without pickle."""

from __future__ import annotations

from typing import Any, ClassVar

from pyspark.ml.base import Estimator
from pyspark.ml.util import MLReadable, MLReader, MLWritable, MLWriter

from sparkml_dist.cluster.task_errors import errors_of_tasks
from sparkml_dist.errors import ConfigurationError, DataError, nearest
from sparkml_dist.ml_io import EstimatorReader, EstimatorWriter
from sparkml_dist.params import AccessibleParams

__all__ = ["MiningEstimator", "check_column", "check_fraction", "check_whole"]


class StoredParams(AccessibleParams, MLWritable, MLReadable):
    """A stage of Params only, which Spark ML's `Pipeline` can save and load."""

    #: Params whose values are objects; what the writer and the reader ask for.
    _object_params: ClassVar[tuple[str, ...]] = ()

    def write(self) -> MLWriter:
        """Return a writer of the Params."""
        return EstimatorWriter(self)  # type: ignore[arg-type]

    @classmethod
    def read(cls) -> MLReader:
        """Return a reader of what `write` wrote."""
        return EstimatorReader(cls)  # type: ignore[arg-type]


class MiningEstimator(StoredParams, Estimator):
    """Base of the estimators that mine any DataFrame."""

    def fit(self, dataset: Any, params: Any = None) -> Any:
        """Fit on a DataFrame.

        Parameters
        ----------
        dataset : pyspark.sql.DataFrame
        params : dict or list of dict, optional
            As for any estimator of Spark ML.

        Returns
        -------
        pyspark.ml.Model, or a list of them

        Raises
        ------
        SparkMLDistError
            Also what tasks raise, as it was raised there.
        """
        with errors_of_tasks():
            return super().fit(dataset, params)


def check_column(df: Any, name: str, role: str) -> Any:
    """Return the type of a column of a DataFrame.

    Raises
    ------
    DataError
        ``column_not_found``.
    """
    for field in df.schema.fields:
        if field.name == name:
            return field.dataType
    names = df.schema.names
    shown = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
    raise DataError(
        "column_not_found",
        f"There is no column {name!r} for {role}.{nearest(name, names)}",
        f"Columns are: {shown}.",
    )


def check_fraction(name: str, value: float, *, zero: bool = False) -> None:
    """Raise unless a Param lies in (0, 1], or in [0, 1] where `zero` may be.

    Raises
    ------
    ConfigurationError
        ``invalid_param``.
    """
    if not ((value >= 0 if zero else value > 0) and value <= 1):
        span = "[0, 1]" if zero else "(0, 1]"
        raise ConfigurationError("invalid_param", f"{name} must be in {span}. Got {value!r}.")


def check_whole(name: str, value: int | None, least: int = 1) -> None:
    """Raise unless a Param is not set or a whole number of at least `least`.

    Raises
    ------
    ConfigurationError
        ``invalid_param``.
    """
    if value is not None and value < least:
        raise ConfigurationError("invalid_param", f"{name} must be at least {least}. Got {value}.")
