"""Tables of counts over one or two columns of categories, and the test of independence."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.federated.statistics.agreed_columns import AgreedColumns
from sparkml_dist.federated.statistics.cells import check_minimum, least_count, small_cells
from sparkml_dist.federated.statistics.pool import Pool, over_same_silos
from sparkml_dist.federated.work import Answer, Declaration, SiloWork
from sparkml_dist.statistics.contingency import check_method, contingency_result
from sparkml_dist.statistics.hypothesis import TestResult

if TYPE_CHECKING:
    import pandas as pd

    from sparkml_dist.federated.federation import Federation
    from sparkml_dist.federated.message import Message
    from sparkml_dist.federated.schema import FederatedSchema
    from sparkml_dist.federated.silo import Silo

__all__ = ["TableWork", "federated_contingency_test", "federated_counts"]

_MOST_CELLS = 1_000_000


class TableWork(SiloWork):
    """Counts of rows by the categories of one or two columns, in one silo.

    Asked with the facts ``columns`` and ``minimum``. Cells with fewer rows than the minimum are
    left out: 0 in ``counts``, and 1 in ``suppressed``.
    """

    kind: ClassVar[str] = "table"
    summable: ClassVar[bool] = True

    def declare(self, request: Message, schema: FederatedSchema) -> Declaration:
        """Return the shape of the table."""
        shape = _shape(AgreedColumns(schema), request.facts["columns"])
        return Declaration({"counts": ("i8", shape), "suppressed": ("i8", shape)})

    def answer(self, silo: Silo, request: Message) -> Answer:
        """Count the silo's rows; those without a value do not count."""
        columns, names = AgreedColumns(silo.schema), list(request.facts["columns"])
        shape = _shape(columns, names)
        counts = np.zeros(int(np.prod(shape)), np.int64)
        for block in silo.blocks():
            codes = np.array([columns.codes(block, name) for name in names])
            codes = codes[:, (codes >= 0).all(axis=0)]
            counts += np.bincount(np.ravel_multi_index(tuple(codes), shape), minlength=len(counts))
        hidden = small_cells(counts, least_count(silo, request.facts))
        return Answer(
            arrays={
                "counts": (counts * (1 - hidden)).reshape(shape),
                "suppressed": hidden.reshape(shape),
            }
        )


def _shape(columns: AgreedColumns, names: list[str]) -> tuple[int, ...]:
    shape = tuple(len(columns.categories(name)) for name in names)
    if not 1 <= len(shape) <= 2 or np.prod(shape) > _MOST_CELLS:
        raise ConfigurationError(
            "invalid_param",
            f"A table has one or two columns, and at most {_MOST_CELLS:,} cells; {names} would "
            f"make {' x '.join(map(str, shape))}.",
        )
    return shape


def federated_counts(
    federation: Federation,
    *,
    column: str,
    by: str | None = None,
    minimumCount: int = 1,
    minimumSilos: int | None = None,
    secure: Any = None,
) -> pd.DataFrame:
    """Count the rows of all silos by categories, in one round.

    Parameters
    ----------
    federation : Federation
    column : str
        Column of categories, or the label of classes.
    by : str, optional
        A second one.
    minimumCount : int, default=1
        A silo leaves cells out that have fewer rows than this, or than its own policy asks for.
    minimumSilos, secure
        As for `federated_moments`.

    Returns
    -------
    pandas.DataFrame
        Counts by the categories of `column`, with a column ``count``, or one for each category of
        `by`. ``attrs`` holds ``suppressed``, the number of silos that left each cell out, in the
        same shape, and ``silos``, ``rounds`` and ``failed``.

    Raises
    ------
    DataError
        ``column_not_found`` or ``column_type``.

    Examples
    --------
    >>> rows = {"north": ([[40.0], [61.0]], [0, 1]), "south": ([[55.0]], [1])}
    >>> federation = Federation.in_memory(rows, names=["age"], label="sick")
    >>> federated_counts(federation, column="sick")["count"].to_dict()
    {'0': 1, '1': 2}
    """
    import pandas as pd

    agreed = AgreedColumns(federation.schema)
    names = [column] if by is None else [column, by]
    index = pd.Index(agreed.categories(column), name=column)
    across = ["count"] if by is None else agreed.categories(by)

    def compute(pool: Pool) -> pd.DataFrame:
        found = pool.sum("table", {"columns": names, "minimum": check_minimum(minimumCount)})
        shape = (len(index), len(across))
        table = pd.DataFrame(found["counts"].reshape(shape), index=index, columns=across)
        table.attrs.update(suppressed=found["suppressed"].tolist(), **pool.facts())
        return table

    return over_same_silos(federation, compute, minimumSilos=minimumSilos, secure=secure)


def federated_contingency_test(
    federation: Federation,
    *,
    rowCol: str,
    columnCol: str,
    method: str = "pearson",
    minimumCount: int = 1,
    minimumSilos: int | None = None,
    secure: Any = None,
) -> TestResult:
    """Test whether two columns of categories are independent, over the rows of all silos.

    Parameters
    ----------
    federation : Federation
    rowCol, columnCol : str
        Columns of categories, or the label of classes.
    method : {"pearson", "likelihood"}, default="pearson"
        Pearson's X² (without a correction of continuity), or the likelihood ratio G².
    minimumCount : int, default=1
        As for `federated_counts`: what silos leave out is missing in the test, which then is not
        that of the pooled rows.
    minimumSilos, secure
        As for `federated_moments`.

    Returns
    -------
    TestResult
        ``estimates`` as of `sparkml_dist.statistics.contingency_test`, and ``suppressed_cells``
        (over all silos), ``silos``, ``rounds`` and ``failed``.

    Raises
    ------
    DataError
        ``column_not_found``, ``column_type`` or ``group_count``.
    """
    check_method(method)
    agreed = AgreedColumns(federation.schema)
    rows, columns = agreed.categories(rowCol), agreed.categories(columnCol)
    facts = {"columns": [rowCol, columnCol], "minimum": check_minimum(minimumCount)}

    def compute(pool: Pool) -> TestResult:
        found = pool.sum("table", facts)
        result = contingency_result(found["counts"], rows, columns, method)
        more = {"suppressed_cells": int(found["suppressed"].sum()), **pool.facts()}
        return replace(result, estimates={**result.estimates, **more})

    return over_same_silos(federation, compute, minimumSilos=minimumSilos, secure=secure)
