"""Histograms of a column over all silos."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.federated.statistics.agreed_columns import AgreedColumns
from sparkml_dist.federated.statistics.cells import check_minimum, least_count, small_cells
from sparkml_dist.federated.statistics.pool import Pool, over_same_silos
from sparkml_dist.federated.work import Answer, Declaration, SiloWork

if TYPE_CHECKING:
    import pandas as pd

    from sparkml_dist.federated.federation import Federation
    from sparkml_dist.federated.message import Message
    from sparkml_dist.federated.schema import FederatedSchema
    from sparkml_dist.federated.silo import Silo

__all__ = ["HistogramWork", "federated_histogram"]


class HistogramWork(SiloWork):
    """Counts of a column's values between edges, in one silo.

    Asked with the facts ``column`` and ``minimum`` and the array ``edges``. The first cell counts
    values below all edges, the last but one those above, the last one missing values. Cells with
    fewer rows than the minimum are left out: 0 in ``counts``, and 1 in ``suppressed``.
    """

    kind: ClassVar[str] = "histogram"
    summable: ClassVar[bool] = True

    def declare(self, request: Message, schema: FederatedSchema) -> Declaration:
        """Return the number of cells."""
        cells = (len(request.arrays["edges"]) + 2,)
        return Declaration({"counts": ("i8", cells), "suppressed": ("i8", cells)})

    def answer(self, silo: Silo, request: Message) -> Answer:
        """Count the silo's rows."""
        columns, name = AgreedColumns(silo.schema), request.facts["column"]
        columns.check_numbers(name)
        edges = request.arrays["edges"]
        counts = np.zeros(len(edges) + 2, np.int64)
        for block in silo.blocks():
            values = columns.numbers_of(block, [name])[:, 0]
            known = values[~np.isnan(values)]
            cell = np.searchsorted(edges, known, side="right")
            cell[known == edges[-1]] -= 1  # the last interval is closed
            counts += np.bincount(cell, minlength=len(counts))
            counts[-1] += len(values) - len(known)
        hidden = small_cells(counts, least_count(silo, request.facts))
        return Answer(arrays={"counts": counts * (1 - hidden), "suppressed": hidden})


def federated_histogram(
    federation: Federation,
    *,
    column: str,
    edges: Sequence[float],
    minimumCount: int = 1,
    minimumSilos: int | None = None,
    secure: Any = None,
) -> pd.DataFrame:
    """Count the values of a column between edges over all silos, in one round.

    Parameters
    ----------
    federation : Federation
    column : str
        Column of numbers.
    edges : sequence of float
        Ascending. Intervals hold their left edge, and the last one its right edge too, as numpy's.
    minimumCount : int, default=1
        A silo leaves intervals out that have fewer rows than this, or than its own policy asks
        for.
    minimumSilos, secure
        As for `federated_moments`.

    Returns
    -------
    pandas.DataFrame
        ``low``, ``high``, ``count`` and ``suppressed_silos`` of each interval. ``attrs`` holds
        ``below``, ``above`` and ``missing`` (counts), ``silos``, ``rounds`` and ``failed``.

    Raises
    ------
    DataError
        ``column_not_found`` or ``column_type``.
    ConfigurationError
        ``invalid_param``.

    Examples
    --------
    >>> rows = {"north": ([[40.0], [61.0]], [0, 1]), "south": ([[55.0]], [1])}
    >>> federation = Federation.in_memory(rows, names=["age"], label="sick")
    >>> federated_histogram(federation, column="age", edges=[20, 60, 80])["count"].tolist()
    [2, 1]
    """
    import pandas as pd

    borders = np.asarray(edges, np.float64)
    if borders.ndim != 1 or len(borders) < 2 or not (np.diff(borders) > 0).all():
        raise ConfigurationError(
            "invalid_param", f"edges must be two or more ascending numbers. Got {edges!r}."
        )
    AgreedColumns(federation.schema).check_numbers(column)
    facts = {"column": column, "minimum": check_minimum(minimumCount)}

    def compute(pool: Pool) -> pd.DataFrame:
        found = pool.sum("histogram", facts, {"edges": borders})
        counts = found["counts"]
        table = pd.DataFrame(
            {
                "low": borders[:-1],
                "high": borders[1:],
                "count": counts[1:-2],
                "suppressed_silos": found["suppressed"][1:-2],
            }
        )
        outside = {"below": counts[0], "above": counts[-2], "missing": counts[-1]}
        table.attrs.update({name: int(count) for name, count in outside.items()}, **pool.facts())
        return table

    return over_same_silos(federation, compute, minimumSilos=minimumSilos, secure=secure)
