"""Adds a column of simulated silos to a DataFrame."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sparkml_dist.cluster.iterator_udf import iterator_udf
from sparkml_dist.dataset.column_names import with_output
from sparkml_dist.dataset.many_columns import quoted
from sparkml_dist.dataset.splits import row_key
from sparkml_dist.errors import ConfigurationError, DataError, nearest
from sparkml_dist.federated.simulation.silo_draws import (
    class_shares,
    feature_shift,
    placed,
    quantity_skew,
)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["KINDS", "with_silos"]

#: How silos may differ.
KINDS = ("label_skew", "quantity_skew", "feature_shift", "none")
_MOST_CLASSES = 1000
_Place = Callable[[npt.NDArray[np.int64], pa.Array], npt.NDArray[np.int64]]


def with_silos(
    df: DataFrame,
    numSilos: int,
    *,
    skew: str = "label_skew",
    column: str | None = None,
    alpha: float = 0.5,
    shift: float = 0.8,
    siloCol: str = "silo",
    keyCol: str | Sequence[str] | None = None,
    seed: int = 0,
) -> DataFrame:
    """Return a DataFrame with a column of silos, whose data differ as those of real owners do.

    A row's silo is a function of its key and the seed, however the rows are read. The functions of
    `silo_draws` do the same with arrays.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
    numSilos : int
        Number of silos, named ``silo-0000`` and so on. Some may get no row.
    skew : {"label_skew", "quantity_skew", "feature_shift", "none"}, default="label_skew"
        Each class is spread by a Dirichlet distribution; the numbers of rows are; each silo has
        another range of a feature; or silos are random samples.
    column : str, optional
        The label for ``"label_skew"``, a numeric column for ``"feature_shift"``.
    alpha : float, default=0.5
        Of the Dirichlet distribution; small numbers make silos differ more.
    shift : float, default=0.8
        Share of the rows that lie in the silo of their range, for ``"feature_shift"``.
    siloCol : str, default="silo"
    keyCol : str or list of str, optional
        Columns that identify a row; all columns by default.
    seed : int, default=0

    Raises
    ------
    ConfigurationError
        ``invalid_param``.
    DataError
        ``column_not_found``; ``too_many_classes`` for a label of more than 1,000 values.

    Examples
    --------
    >>> from sparkml_dist.federated.simulation import with_silos
    >>> skewed = with_silos(iris, 4, column="species", alpha=0.3)
    >>> skewed.select("silo").distinct().count() <= 4
    True
    """
    from pyspark.sql import functions as F

    if skew not in KINDS:
        raise ConfigurationError(
            "invalid_param",
            f"skew must be one of {', '.join(KINDS)}. Got {skew!r}.{nearest(str(skew), KINDS)}",
        )
    if skew in ("label_skew", "feature_shift"):
        if column is None:
            raise ConfigurationError("invalid_param", f"skew={skew!r} needs column=….")
        if column not in df.columns:
            raise DataError(
                "column_not_found",
                f"There is no column {column!r}.{nearest(column, df.columns)}",
                f"Columns are: {', '.join(df.columns[:12])}.",
            )
    class_shares(1, numSilos, alpha, seed)  # checks both
    place, value = _place(df, numSilos, skew, column, alpha, shift, seed)

    def silos(batches: Iterator[pa.Array]) -> Iterator[pa.Array]:
        for batch in batches:
            key, own = batch.flatten()
            found = place(key.to_numpy(zero_copy_only=False), own)
            yield pa.array([f"silo-{i:04d}" for i in found.tolist()], pa.string())

    rows = F.struct(row_key(df, keyCol).alias("key"), F.expr(value).alias("value"))
    return with_output(df, siloCol, iterator_udf(silos, "string")(rows))


def _place(
    df: DataFrame, n: int, skew: str, column: str | None, alpha: float, shift: float, seed: int
) -> tuple[_Place, str]:
    """Return the function that places rows, and the expression of the value that it needs."""
    if skew == "label_skew":
        (name,) = quoted([str(column)])
        rows = df.select(name).distinct().limit(_MOST_CLASSES + 1).collect()
        if len(rows) > _MOST_CLASSES:
            raise DataError(
                "too_many_classes",
                f"The column {column!r} has more than {_MOST_CLASSES:,} values.",
                "Label skew is for classes; take quantity_skew or feature_shift.",
            )
        classes = sorted(row[0] for row in rows if row[0] is not None)
        shares = class_shares(len(classes) + 1, n, alpha, seed)
        return partial(_by_class, classes, shares, seed), name
    if skew == "feature_shift":
        (name,) = quoted([str(column)])
        cuts = df.approxQuantile(str(column), [i / n for i in range(1, n)], 0.001)
        return partial(_by_range, cuts, n, shift, seed), f"cast({name} AS double)"
    if skew == "quantity_skew":
        return partial(_by_number, n, alpha, seed), "0"
    return partial(_by_number, n, None, seed), "0"


def _by_class(
    classes: list[Any],
    shares: npt.NDArray[np.float64],
    seed: int,
    key: npt.NDArray[np.int64],
    value: pa.Array,
) -> npt.NDArray[np.int64]:
    from sparkml_dist.dataset.hashing import uniform

    known = pc.index_in(value, value_set=pa.array(classes, value.type))
    codes = pc.fill_null(known, len(classes)).to_numpy(zero_copy_only=False)
    return placed(uniform(key, seed, "silo"), shares, codes)


def _by_range(
    cuts: list[float], n: int, shift: float, seed: int, key: npt.NDArray[np.int64], value: pa.Array
) -> npt.NDArray[np.int64]:
    numbers = value.to_numpy(zero_copy_only=False)
    return feature_shift(key, numbers, n, shift=shift, seed=seed, cuts=cuts)


def _by_number(
    n: int,
    alpha: float | None,
    seed: int,
    key: npt.NDArray[np.int64],
    value: pa.Array,  # noqa: ARG001 - all places take a value
) -> npt.NDArray[np.int64]:
    if alpha is None:
        return feature_shift(key, np.full(len(key), np.nan), n, seed=seed, cuts=())
    return quantity_skew(key, n, alpha=alpha, seed=seed)
