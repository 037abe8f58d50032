"""Scores a DataFrame on executors: members are loaded once per worker, rows scored in blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sparkml_dist.cluster.iterator_udf import iterator_udf
from sparkml_dist.cluster.joined_batches import joined_batches
from sparkml_dist.cluster.threads import limit_threads
from sparkml_dist.dataset.column_names import (
    check_outputs,
    refuse_ambiguous,
    with_output,
    with_outputs,
)
from sparkml_dist.dataset.labels import Label
from sparkml_dist.dataset.packed_columns import unpacked_types
from sparkml_dist.dataset.schema import FeatureSchema, Matrix
from sparkml_dist.errors import DataError, nearest
from sparkml_dist.models.row_scores import ClassScores

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

__all__ = [
    "BoundedScorer",
    "Measured",
    "MeasuringScorer",
    "OutputColumns",
    "RawScorer",
    "Scorer",
    "block_rows",
    "check_feature_columns",
    "class_scores",
    "drop_loaded",
    "loaded",
    "score",
    "score_regression",
    "streams",
    "within",
]

# Spark may pass only a few thousand rows at a time, regardless of its setting; with more rows, the
# models' cost per call is small.
_ROWS_AT_ONCE = 32_768
# Bytes of a block's features when members are read again for each block.
_STREAMED_BYTES = 32 << 20
_SCORED = "_sparkml_dist_scored"

Predict = Callable[[Matrix], npt.NDArray[Any]]


class Scorer(Protocol):
    """A model in the form that is sent to workers: small, picklable, loaded there.

    Attributes
    ----------
    cache_key : str
        Identifies the model within a worker; changes whenever the model does.
    raw_scale : float
        Factor from probability to ``rawPrediction``; unused for a regression.
    """

    @property
    def cache_key(self) -> str:
        """Identifies the model within a worker."""
        ...

    @property
    def raw_scale(self) -> float:
        """Factor from probability to ``rawPrediction``."""
        ...

    def load(self) -> Predict:
        """Return a function from features (n, d) to probabilities (n, n_classes).

        For a regression, to predictions (n,).
        """
        ...


@runtime_checkable
class RawScorer(Scorer, Protocol):
    """A scorer whose ``rawPrediction`` is not a multiple of the probability."""

    def raw(self, probability: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return ``rawPrediction`` for probabilities, both of shape (n, n_classes)."""
        ...


@dataclass(frozen=True)
class Measured:
    """Predictions with further measures of each row.

    Attributes
    ----------
    prediction : ndarray of shape (n, n_classes) or (n,)
    measures : ndarray of shape (n, n_measures)
        In the order of the scorer's `MeasuringScorer.measures`.
    """

    prediction: npt.NDArray[Any]
    measures: npt.NDArray[Any]


@runtime_checkable
class MeasuringScorer(Scorer, Protocol):
    """A scorer with measures of each row; the object of `load` has a method ``measured(X)``.

    Attributes
    ----------
    measures : sequence of str
        Their names.
    """

    @property
    def measures(self) -> Sequence[str]:
        """Names of the measures in the `Measured` that ``measured(X)`` returns."""
        ...


@runtime_checkable
class BoundedScorer(Scorer, Protocol):
    """A scorer that can work with less memory than all of its members take."""

    @property
    def streams(self) -> bool:
        """Whether members are read again for each block, so that blocks should be large."""
        ...

    def within(self, memory: int) -> Scorer:
        """Return a scorer with at most this many bytes of members in memory at once."""
        ...


def within(scorer: Scorer, memory: int) -> Scorer:
    """Return a scorer that keeps at most `memory` bytes of members, if it supports a limit."""
    return scorer.within(memory) if isinstance(scorer, BoundedScorer) else scorer


def streams(scorer: Scorer) -> bool:
    """Return whether a scorer reads members again for each block."""
    return isinstance(scorer, BoundedScorer) and scorer.streams


_loaded: dict[str, Any] = {}
_KEPT = 2


def loaded(key: str, load: Callable[[], Any]) -> Any:
    """Return the value of `load`, from this worker process's cache if it is there.

    A worker runs many tasks and batches; the last few models are kept.
    """
    if key not in _loaded:
        while len(_loaded) >= _KEPT:
            del _loaded[next(iter(_loaded))]
        _loaded[key] = load()
    return _loaded[key]


def drop_loaded() -> None:
    """Drop all models of this worker process, to free memory for the rows of a fit."""
    _loaded.clear()


@dataclass(frozen=True)
class OutputColumns:
    """Names of the columns that scoring adds; an empty name omits a column.

    ``measures`` holds pairs of a scorer's measure and its column.
    """

    prediction: str
    probability: str
    raw_prediction: str
    predicted_label: str
    measures: tuple[tuple[str, str], ...] = ()

    def with_measures(self, **columns: str) -> OutputColumns:
        """Return a copy with a column for each measure that has a name."""
        return replace(self, measures=tuple((m, c) for m, c in columns.items() if c))


def check_feature_columns(df: DataFrame, schema: FeatureSchema) -> None:
    """Raise unless `df` has every column of the features, in a usable type.

    Raises
    ------
    DataError
        ``column_not_found``, ``duplicate_columns`` or ``non_numeric_feature``.
    """
    from pyspark.ml.linalg import VectorUDT
    from pyspark.sql.types import ArrayType, BooleanType, NumericType

    refuse_ambiguous(df, [c.name for c in schema.columns])
    types = unpacked_types(df)  # once: PySpark looks through all columns for each of them
    for column in schema.columns:
        if column.name not in types:
            raise DataError(
                "column_not_found",
                f"The model needs the feature column {column.name!r}, which the data lacks."
                f"{nearest(column.name, list(types))}",
                f"Columns are: {', '.join(list(types)[:12])}.",
            )
        kind = types[column.name]
        fits = {
            "numeric": isinstance(kind, NumericType | BooleanType),
            "array": isinstance(kind, ArrayType),
            "vector": isinstance(kind, VectorUDT),
        }
        if not fits.get(column.kind, True):
            raise DataError(
                "non_numeric_feature",
                f"The model needs {column.kind} values in {column.name!r}. "
                f"Got {kind.simpleString()}.",
                "Read the data in the same way as the training data.",
            )


def score(
    df: DataFrame,
    schema: FeatureSchema,
    label: Label,
    scorer: Scorer,
    outputs: OutputColumns,
    *,
    task_cpus: int = 1,
) -> DataFrame:
    """Return `df` with prediction columns, lazily.

    Only the feature columns are sent to Python; all others stay in the JVM. Existing columns with
    the name of an output are replaced, regardless of case.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
    schema : FeatureSchema
        Encoding of the model's features.
    label : Label
        The class list.
    scorer : Scorer
    outputs : OutputColumns
    task_cpus : int, default=1
        Cores that a task owns.

    Returns
    -------
    pyspark.sql.DataFrame
        With ``prediction`` (double), ``probability`` and ``rawPrediction`` (ML vectors, in the
        order of the class list) and ``predictedLabel`` where ``prediction`` is a position in the
        class list: for strings, and for integers that doubles cannot represent.
    """
    from pyspark.ml.functions import array_to_vector
    from pyspark.sql import functions as F

    check_feature_columns(df, schema)
    label_type = label.predicted_type if outputs.predicted_label else None
    want_raw = bool(outputs.raw_prediction)
    columns = class_scores(label, scorer, outputs)
    fields = columns.fields()
    names = [field.split(":")[0] for field in fields]
    carried = schema.n_transported

    def predict(batches: Iterator[pa.Array]) -> Iterator[pa.Array]:
        model = loaded(scorer.cache_key, scorer.load)
        with limit_threads(task_cpus):
            for batch in joined_batches(batches, block_rows(scorer, schema)):
                features = schema.encode([batch.field(i) for i in range(carried)])
                yield pa.StructArray.from_arrays(columns.arrays(model, features), names)

    udf = iterator_udf(predict, ", ".join(fields))
    scored = F.col(_SCORED)
    added: list[tuple[str, Column]] = [(outputs.prediction, scored["prediction"])]
    if outputs.probability:
        added.append((outputs.probability, array_to_vector(scored["probability"])))
    if want_raw:
        added.append((outputs.raw_prediction, array_to_vector(scored["raw"])))
    if label_type:
        added.append((outputs.predicted_label, scored["label"]))
    for place, (_, column) in zip(columns.places, outputs.measures, strict=True):
        added.append((column, scored[f"measure{place}"]))
    check_outputs(df, [name for name, _ in added], label.column)
    with_scores = df.select("*", udf(F.struct(*schema.transport(df))).alias(_SCORED))
    return with_outputs(with_scores, dict(added), temporary=[_SCORED])


def class_scores(label: Label, scorer: Scorer, outputs: OutputColumns) -> ClassScores:
    """Return the columns of a classifier's scores that are wanted."""
    return ClassScores(
        label,
        scorer.raw_scale if outputs.raw_prediction else None,
        scorer.raw if isinstance(scorer, RawScorer) else None,
        bool(outputs.predicted_label and label.predicted_type),
        tuple(_measured_places(scorer, outputs)),
    )


def _measured_places(scorer: Scorer, outputs: OutputColumns) -> list[int]:
    """Return the positions of the requested measures among the scorer's."""
    if not outputs.measures or not isinstance(scorer, MeasuringScorer):
        return []
    return [list(scorer.measures).index(measure) for measure, _ in outputs.measures]


def block_rows(scorer: Scorer, schema: FeatureSchema) -> int:
    """Return the least number of rows at which a scorer works efficiently."""
    if streams(scorer):
        return max(_ROWS_AT_ONCE, _STREAMED_BYTES // (4 * max(1, schema.n_features)))
    return _ROWS_AT_ONCE


def score_regression(
    df: DataFrame, schema: FeatureSchema, scorer: Scorer, prediction: str, *, task_cpus: int = 1
) -> DataFrame:
    """Return `df` with a column of predictions, lazily.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
    schema : FeatureSchema
        Encoding of the model's features.
    scorer : Scorer
    prediction : str
        Name of the column (double) that is added.
    task_cpus : int, default=1
        Cores that a task owns.

    Returns
    -------
    pyspark.sql.DataFrame
    """
    from pyspark.sql import functions as F

    check_feature_columns(df, schema)
    carried = schema.n_transported

    def predict(batches: Iterator[pa.Array]) -> Iterator[pa.Array]:
        model = loaded(scorer.cache_key, scorer.load)
        with limit_threads(task_cpus):
            for batch in joined_batches(batches, block_rows(scorer, schema)):
                features = schema.encode([batch.field(i) for i in range(carried)])
                yield pa.array(np.asarray(model(features), dtype=np.float64))

    udf = iterator_udf(predict, "double")
    return with_output(df, prediction, udf(F.struct(*schema.transport(df))))
