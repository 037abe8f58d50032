"""Sums of products of columns around their means: covariances, correlations, components."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.federated.statistics.agreed_columns import AgreedColumns
from sparkml_dist.federated.statistics.cells import check_minimum, enough_rows, least_count
from sparkml_dist.federated.statistics.pool import Pool, over_same_silos
from sparkml_dist.federated.statistics.symmetric import packed, packed_size, unpacked
from sparkml_dist.federated.work import Answer, Declaration, SiloWork
from sparkml_dist.statistics.correlation import check_level, correlation_result
from sparkml_dist.statistics.hypothesis import TestResult

if TYPE_CHECKING:
    import pandas as pd

    from sparkml_dist.federated.federation import Federation
    from sparkml_dist.federated.message import Message
    from sparkml_dist.federated.schema import FederatedSchema
    from sparkml_dist.federated.silo import Silo

__all__ = [
    "FederatedComponents",
    "ProductsWork",
    "federated_correlation",
    "federated_correlation_test",
    "federated_pca",
]

Array = npt.NDArray[np.float64]


class ProductsWork(SiloWork):
    """Sums, squares and products of columns around centres, over one silo's complete rows.

    Asked with the facts ``columns`` and ``minimum``, and the array ``centre`` in the second round.
    A silo with fewer complete rows than the minimum refuses.
    """

    kind: ClassVar[str] = "products"
    summable: ClassVar[bool] = True

    def declare(self, request: Message, schema: FederatedSchema) -> Declaration:
        """Return the shapes of the sums."""
        d = len(request.facts["columns"])
        arrays: dict[str, tuple[str, tuple[int, ...]]] = {"rows": ("i8", ()), "sum": ("f8", (d,))}
        if "centre" in request.arrays:
            arrays["products"] = ("f8", (packed_size(d),))
        return Declaration(arrays)

    def answer(self, silo: Silo, request: Message) -> Answer:
        """Add up the silo's rows."""
        columns, names = AgreedColumns(silo.schema), list(request.facts["columns"])
        columns.check_numbers(*names)
        d = len(names)
        centre = request.arrays.get("centre")
        rows, total, products = 0, np.zeros(d), np.zeros((d, d))
        for block in silo.blocks():
            values = columns.numbers_of(block, names)
            values = values[~np.isnan(values).any(axis=1)]
            rows += len(values)
            if centre is not None:
                values = values - centre
                products += values.T @ values
            total += values.sum(axis=0)
        enough_rows(rows, least_count(silo, request.facts))
        arrays: dict[str, Any] = {"rows": np.asarray(rows, np.int64), "sum": total}
        if centre is not None:
            arrays["products"] = packed(products)
        return Answer(arrays=arrays)


def _centred(pool: Pool, names: list[str], minimum: int) -> tuple[int, Array, Array]:
    """Return number of complete rows, means, and sums of products around the means."""
    facts = {"columns": names, "minimum": minimum}
    first = pool.sum("products", facts)
    n = int(first["rows"])
    if n < 2:
        raise DataError(
            "too_few_rows",
            f"There are {n} rows with all of the values.",
            "Give more rows, or name fewer columns.",
        )
    mean = first["sum"] / n
    second = pool.sum("products", facts, {"centre": mean})
    rest = second["sum"] / n
    return n, mean + rest, unpacked(second["products"]) - n * np.outer(rest, rest)


def _names(federation: Federation, columns: Sequence[str] | None, least: int) -> list[str]:
    agreed = AgreedColumns(federation.schema)
    names = agreed.numbers if columns is None else list(columns)
    agreed.check_numbers(*names)
    if len(names) < least or len(set(names)) < len(names):
        raise ConfigurationError(
            "invalid_param", f"columns must be {least} or more different ones. Got {names}."
        )
    return names


def _varying(names: list[str], products: Array, mean: Array, n: int) -> Array:
    """Return the roots of the diagonal; raise where a column has no variance."""
    lengths = np.sqrt(np.maximum(np.diag(products), 0.0))
    flat = lengths <= 1e-13 * np.abs(mean) * np.sqrt(n)
    if flat.any():
        name = names[int(np.flatnonzero(flat)[0])]
        raise DataError(
            "constant_feature",
            f"The column {name!r} has no variance over the silos.",
            "Leave it out.",
        )
    return lengths


def federated_correlation(
    federation: Federation,
    *,
    columns: Sequence[str] | None = None,
    covariance: bool = False,
    minimumCount: int = 1,
    minimumSilos: int | None = None,
    secure: Any = None,
) -> pd.DataFrame:
    """Return the matrix of Pearson's correlations over the rows of all silos, in two rounds.

    Parameters
    ----------
    federation : Federation
    columns : sequence of str, optional
        Columns of numbers; by default all features that are.
    covariance : bool, default=False
        Whether covariances are returned instead.
    minimumCount : int, default=1
        A silo with fewer complete rows than this, or than its own policy asks for, does not answer.
    minimumSilos, secure
        As for `federated_moments`.

    Returns
    -------
    pandas.DataFrame
        Of the rows that have all columns. ``attrs`` holds ``rows``, ``silos``, ``rounds`` and
        ``failed``.

    Raises
    ------
    DataError
        ``column_not_found``, ``column_type``, ``too_few_rows`` or ``constant_feature``.

    Examples
    --------
    >>> rows = {"north": ([[40.0], [61.0]], [0, 1]), "south": ([[55.0]], [1])}
    >>> federation = Federation.in_memory(rows, names=["age"], label="sick")
    >>> found = federated_correlation(federation, columns=["age", "sick"])
    >>> float(found.loc["age", "sick"].round(4))
    0.9608
    """
    import pandas as pd

    names, minimum = _names(federation, columns, 1), check_minimum(minimumCount)

    def compute(pool: Pool) -> pd.DataFrame:
        n, mean, products = _centred(pool, names, minimum)
        if covariance:
            found = products / (n - 1)
        else:
            lengths = _varying(names, products, mean, n)
            found = np.clip(products / np.outer(lengths, lengths), -1.0, 1.0)
        table = pd.DataFrame(found, index=names, columns=names)
        table.attrs.update(rows=n, **pool.facts())
        return table

    return over_same_silos(federation, compute, minimumSilos=minimumSilos, secure=secure)


def federated_correlation_test(
    federation: Federation,
    *,
    firstCol: str,
    secondCol: str,
    level: float = 0.95,
    minimumCount: int = 1,
    minimumSilos: int | None = None,
    secure: Any = None,
) -> TestResult:
    """Test Pearson's correlation of two columns against 0, over the rows of all silos.

    Parameters
    ----------
    federation : Federation
    firstCol, secondCol : str
        Columns of numbers.
    level : float, default=0.95
        Of the confidence interval, by Fisher's transformation.
    minimumCount, minimumSilos, secure
        As for `federated_correlation`.

    Returns
    -------
    TestResult
        ``estimates`` has ``correlation``, ``interval``, ``silos``, ``rounds`` and ``failed``.

    Raises
    ------
    DataError
        ``column_not_found``, ``column_type``, ``too_few_rows`` or ``constant_feature``.
    """
    check_level(level)
    names = _names(federation, [firstCol, secondCol], 2)
    minimum = check_minimum(minimumCount)

    def compute(pool: Pool) -> TestResult:
        n, mean, products = _centred(pool, names, max(minimum, 1))
        if n < 4:
            raise DataError("too_few_rows", f"There are {n} rows without missing values.")
        _varying(names, products, mean, n)
        found = correlation_result(products, n, level)
        return replace(found, estimates={**found.estimates, **pool.facts()})

    return over_same_silos(federation, compute, minimumSilos=minimumSilos, secure=secure)


@dataclass(frozen=True)
class FederatedComponents:
    """Principal components of the rows of all silos.

    Attributes
    ----------
    columns : list of str
    components : ndarray of shape (k, columns)
        Of length 1; the largest entry of each is positive.
    variances : ndarray of shape (k,)
        Variance along each component, largest first.
    ratios : ndarray of shape (k,)
        Their shares of the whole variance.
    means, scales : ndarray of shape (columns,)
        What is subtracted from a row, and what it is divided by.
    rows : int
    facts : dict
        ``silos``, ``rounds`` and ``failed``.
    """

    columns: list[str]
    components: Array
    variances: Array
    ratios: Array
    means: Array
    scales: Array
    rows: int
    facts: dict[str, Any]

    def scores(self, X: npt.ArrayLike) -> Array:
        """Return the coordinates of rows, shape (n, k), of columns in the order of `columns`."""
        away = (np.asarray(X, np.float64) - self.means) / self.scales
        return np.asarray(away @ self.components.T)


def federated_pca(
    federation: Federation,
    *,
    columns: Sequence[str] | None = None,
    k: int | None = None,
    standardize: bool = False,
    minimumCount: int = 1,
    minimumSilos: int | None = None,
    secure: Any = None,
) -> FederatedComponents:
    """Return the principal components of the rows of all silos, in two rounds.

    Parameters
    ----------
    federation : Federation
    columns : sequence of str, optional
        Columns of numbers; by default all features that are.
    k : int, optional
        Number of components; all by default.
    standardize : bool, default=False
        Whether columns are divided by their deviations: components of the correlations.
    minimumCount, minimumSilos, secure
        As for `federated_correlation`.

    Returns
    -------
    FederatedComponents

    Raises
    ------
    DataError
        As `federated_correlation`.
    ConfigurationError
        ``invalid_param``.
    """
    names, minimum = _names(federation, columns, 1), check_minimum(minimumCount)
    count = len(names) if k is None else k
    if not 1 <= count <= len(names):
        raise ConfigurationError(
            "invalid_param", f"k must be from 1 to {len(names)}, the number of columns. Got {k}."
        )

    def compute(pool: Pool) -> FederatedComponents:
        n, mean, products = _centred(pool, names, minimum)
        scales = np.ones(len(names))
        if standardize:
            scales = _varying(names, products, mean, n) / np.sqrt(n - 1)
        values, vectors = np.linalg.eigh(products / (n - 1) / np.outer(scales, scales))
        values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1].T
        largest = np.take_along_axis(vectors, np.abs(vectors).argmax(axis=1)[:, None], axis=1)
        vectors = vectors * np.where(largest < 0, -1.0, 1.0)
        ratios = values / max(values.sum(), 1e-300)
        return FederatedComponents(
            names,
            np.ascontiguousarray(vectors[:count]),
            values[:count],
            ratios[:count],
            mean,
            scales,
            n,
            pool.facts(),
        )

    return over_same_silos(federation, compute, minimumSilos=minimumSilos, secure=secure)
