"""Permutation importance: how much a model's score drops when a feature's values are shuffled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import scipy.sparse as sp

from sparkml_dist.cluster.sums.layout import Arrays, Summands
from sparkml_dist.cluster.sums.over_rows import sum_over_groups
from sparkml_dist.dataset.hashing import spark_uniform
from sparkml_dist.dataset.labels import Label, class_column
from sparkml_dist.dataset.schema import FeatureSchema, Matrix
from sparkml_dist.dataset.splits import row_key
from sparkml_dist.errors import ConfigurationError, DataError, nearest
from sparkml_dist.metrics.scores import check_score, is_better, score_rows
from sparkml_dist.models.scoring import Predict, Scorer, check_feature_columns, loaded

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = [
    "HasPermutationImportance",
    "PermutationImportance",
    "ScoredModel",
    "permutation_importance",
]

_BLOCK_ROWS = 5_000
_BLOCK_BYTES = 256 << 20
_BASELINE = -1


@dataclass(frozen=True)
class PermutationImportance:
    """The permutation importance of each feature on some rows.

    Attributes
    ----------
    metric : str
    baseline : float
        The metric without shuffling.
    rows : int
        Rows that were scored.
    features : tuple of str
    drops : ndarray of shape (n_features, repeats)
        How much the metric worsens; positive means worse, whether the metric is to be large or
        small.
    """

    metric: str
    baseline: float
    rows: int
    features: tuple[str, ...]
    drops: npt.NDArray[np.float64]

    @property
    def mean(self) -> npt.NDArray[np.float64]:
        """Mean over the repeats, shape (n_features,)."""
        return self.drops.mean(axis=1)

    @property
    def std(self) -> npt.NDArray[np.float64]:
        """Standard deviation over the repeats, shape (n_features,)."""
        return self.drops.std(axis=1)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values, the most important feature first."""
        order = np.argsort(-self.mean, kind="stable")
        mean, std = self.mean, self.std
        return {
            "metric": self.metric,
            "baseline": self.baseline,
            "rows": self.rows,
            "repeats": self.drops.shape[1],
            "features": [
                {"name": self.features[i], "mean": float(mean[i]), "std": float(std[i])}
                for i in order
            ],
        }


class ScoredModel(Protocol):
    """A fitted model whose scorer can run on executors."""

    schema: FeatureSchema
    label: Label

    def _task_scorer(self) -> Scorer: ...


class HasPermutationImportance:
    """Mixin of the models with permutation importance."""

    def permutationImportance(
        self: ScoredModel,
        df: DataFrame,
        *,
        metric: str | None = None,
        repeats: int = 5,
        seed: int = 0,
        maxRows: int = 20_000,
        features: Sequence[str] | None = None,
    ) -> PermutationImportance:
        """Return how much the score on `df` worsens when a feature's values are shuffled.

        Computed on executors; see `permutation_importance`.

        Parameters
        ----------
        df : pyspark.sql.DataFrame
            Rows that the model was not fitted on, with the label.
        metric : {"accuracy", "log_loss", "auc"} or {"rmse", "mae", "r2"}, optional
            Accuracy, or for a regression the root mean squared error, by default.
        repeats : int, default=5
        seed : int, default=0
        maxRows : int, default=20000
            Number of rows to score, once for every feature and repeat.
        features : sequence of str, optional
            Names of the features to shuffle; all by default.
        """
        return permutation_importance(
            df,
            self._task_scorer(),
            self.schema,
            self.label,
            metric=metric,
            repeats=repeats,
            seed=seed,
            max_rows=maxRows,
            features=features,
        )


def permutation_importance(
    df: DataFrame,
    scorer: Scorer,
    schema: FeatureSchema,
    label: Label,
    *,
    metric: str | None = None,
    repeats: int = 5,
    seed: int = 0,
    max_rows: int = 20_000,
    features: Sequence[str] | None = None,
) -> PermutationImportance:
    """Shuffle one feature at a time among rows, and measure how much the metric worsens.

    Rows are assigned by hashed key to blocks of about 5,000, each a random sample, and values are
    shuffled within blocks; the result does not depend on the partitions of `df`. A feature that
    other features can replace has little importance of its own.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
        Rows that the model was not fitted on. Those with a null or unknown label are ignored.
    scorer : Scorer
        Of the model.
    schema : FeatureSchema
    label : Label
    metric : {"accuracy", "log_loss", "auc"} or {"rmse", "mae", "r2"}, optional
        Accuracy, or for a regression the root mean squared error, by default. The area under the
        ROC curve and R² are means over the blocks; all others are exact.
    repeats : int, default=5
    seed : int, default=0
    max_rows : int, default=20000
        Approximate number of rows to score: a sample of `df` by hashed key. Each row is scored once
        for every feature and repeat.
    features : sequence of str, optional
        Names of the features to shuffle; all by default.

    Returns
    -------
    PermutationImportance

    Raises
    ------
    ConfigurationError
        ``invalid_param`` or ``unknown_feature``.
    DataError
        ``column_not_found`` or ``too_few_rows``.

    References
    ----------
    Breiman (2001), "Random forests". Fisher, Rudin, Dominici (2019), "All models are wrong, but
    many are useful".
    """
    from pyspark.sql import functions as F

    metric = metric or ("rmse" if label.is_regression else "accuracy")
    check_score(metric, "metric", regression=label.is_regression)
    chosen = _chosen(schema, features)
    if repeats < 1:
        raise ConfigurationError("invalid_param", f"repeats must be >= 1. Got {repeats}.")
    if max_rows < 2:
        raise ConfigurationError("invalid_param", f"maxRows must be >= 2. Got {max_rows}.")
    known = _known_rows(df, schema, label)
    rows = known.count()
    if rows < 2:
        raise DataError(
            "too_few_rows",
            f"There must be 2 or more rows with a known label in {label.column!r}. Got {rows}.",
            "Values of a single row cannot be shuffled.",
        )
    # The rows are selected, and assigned to blocks, by functions of the key alone.
    key = F.col("_key")
    if rows > max_rows:
        known = known.where(spark_uniform(key, seed, "importance") < max_rows / rows)
    blocks = max(1, round(min(rows, max_rows) / _rows_of_block(schema)))
    block = F.floor(spark_uniform(key, seed, "importance-block") * blocks).cast("int")
    task = partial(_score_block, scorer, schema, label, metric, chosen, repeats, seed)

    sums = sum_over_groups(
        known.withColumn("_block", block), "_block", task, description="permutation importance"
    )
    return _finish(sums, schema, metric, chosen)


def _chosen(schema: FeatureSchema, features: Sequence[str] | None) -> tuple[int, ...]:
    names = schema.feature_names
    if features is None:
        return tuple(range(len(names)))
    for name in features:
        if name not in names:
            raise ConfigurationError(
                "unknown_feature",
                f"The model has no feature {name!r}.{nearest(name, names)}",
                f"Features are: {', '.join(names[:12])}.",
            )
    return tuple(names.index(name) for name in features)


def _known_rows(df: DataFrame, schema: FeatureSchema, label: Label) -> DataFrame:
    """Return key, label and features of the rows whose label the model knows."""
    from pyspark.sql import functions as F

    check_feature_columns(df, schema)
    if label.column not in df.columns:
        raise DataError(
            "column_not_found",
            f"The data has no label column {label.column!r}.{nearest(label.column, df.columns)}",
            f"Columns are: {', '.join(df.columns[:12])}.",
        )
    target = F.col("_label")
    known = target.isNotNull() & ~F.isnan(target) if label.is_regression else None
    if known is None:
        known = target.isin(*label.classes)
    return df.select(
        row_key(df, [label.column, *(c.name for c in schema.columns)]).alias("_key"),
        class_column(label.column, label.kind).alias("_label"),
        *schema.transport(),
    ).where(known)


def _rows_of_block(schema: FeatureSchema) -> int:
    if schema.layout == "sparse":
        return _BLOCK_ROWS
    return int(np.clip(_BLOCK_BYTES // (4 * schema.n_features), 500, _BLOCK_ROWS))


def _score_block(
    scorer: Scorer,
    schema: FeatureSchema,
    label: Label,
    metric: str,
    chosen: tuple[int, ...],
    repeats: int,
    seed: int,
    table: pa.Table,
) -> Summands:
    """Return a block's metric, unshuffled and with each feature shuffled, times its rows."""
    table = table.combine_chunks()
    order = np.argsort(table.column("_key").to_numpy(), kind="stable")
    table = table.take(pa.array(order)).combine_chunks()
    carried = [_one(table.column(i)) for i in range(2, 2 + schema.n_transported)]
    y = label.encode(_one(table.column("_label")))
    block = int(table.column("_block")[0].as_py())
    X = schema.encode(carried)
    if not sp.issparse(X) and not X.flags.writeable:
        X = X.copy()
    model = loaded(scorer.cache_key, scorer.load)
    baseline = _summed(metric, y, model(X))
    shuffle = _Shuffle(X, model)
    shuffled = np.full((len(chosen), repeats), baseline)
    for i, feature in enumerate(chosen):
        for repeat in range(repeats if not shuffle.is_constant(feature) else 0):
            rng = np.random.default_rng([seed & (2**63 - 1), block, feature, repeat])
            predicted = shuffle.predict(feature, rng.permutation(len(y)))
            shuffled[i, repeat] = _summed(metric, y, predicted)
    found = {}
    for name, scores in (("baseline", np.array(baseline)), ("shuffled", shuffled)):
        defined = np.isfinite(scores)  # the AUC of a block with a single class is not
        found[name] = np.where(defined, scores, 0.0) * len(y)
        found[f"{name}_rows"] = defined * len(y)
    return found


def _one(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)


def _summed(metric: str, y: npt.NDArray[Any], predicted: npt.NDArray[Any]) -> float:
    """Return a score whose mean over blocks is meaningful."""
    score = score_rows(metric, y, np.asarray(predicted, dtype=np.float64))
    return score**2 if metric == "rmse" else score


def _finish(
    sums: Arrays, schema: FeatureSchema, metric: str, chosen: tuple[int, ...]
) -> PermutationImportance:
    if not sums or not sums["baseline_rows"]:
        raise DataError(
            "score_undefined",
            f"The metric {metric!r} is not defined on these rows.",
            "It needs rows of more than one class, or targets that differ.",
        )
    with np.errstate(invalid="ignore", divide="ignore"):
        baseline = sums["baseline"] / sums["baseline_rows"]
        shuffled = sums["shuffled"] / sums["shuffled_rows"]
    if metric == "rmse":
        baseline, shuffled = np.sqrt(baseline), np.sqrt(shuffled)
    sign = -1.0 if is_better(metric, 0.0, 1.0) else 1.0
    return PermutationImportance(
        metric=metric,
        baseline=float(baseline),
        rows=int(sums["baseline_rows"]),
        features=tuple(schema.feature_names[i] for i in chosen),
        drops=sign * (baseline - shuffled),
    )


class _Shuffle:
    """Scores a block with the values of one feature shuffled, without copying the others.

    Parameters
    ----------
    X : ndarray, which is changed and restored, or csr_matrix, shape (n, n_features)
    model : callable
        Maps features to predictions.
    """

    def __init__(self, X: Matrix, model: Predict) -> None:
        self._X: Any = X
        self._columns: Any = sp.csc_matrix(X) if sp.issparse(X) else None
        self._model = model

    def is_constant(self, feature: int) -> bool:
        """Return whether shuffling the feature changes nothing."""
        if self._columns is not None:
            return bool(self._columns.indptr[feature] == self._columns.indptr[feature + 1])
        values = self._X[:, feature]
        return bool((values == values[0]).all() or np.isnan(values).all())

    def predict(self, feature: int, order: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Return the predictions when row i has the feature value of row ``order[i]``."""
        if self._columns is None:
            values = self._X[:, feature].copy()
            self._X[:, feature] = values[order]
            try:
                return self._model(self._X)
            finally:
                self._X[:, feature] = values
        shuffled = self._columns.copy()
        part = slice(*shuffled.indptr[feature : feature + 2])
        rows = np.argsort(order)[shuffled.indices[part]]
        ascending = np.argsort(rows)
        shuffled.indices[part] = rows[ascending]
        shuffled.data[part] = shuffled.data[part][ascending]
        return self._model(sp.csr_matrix(shuffled))
