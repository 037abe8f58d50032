"""Counts, means and variances of columns over all silos."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

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

__all__ = ["MomentsWork", "federated_moments"]

Array = npt.NDArray[np.float64]


class MomentsWork(SiloWork):
    """Counts, sums and squares of columns around given centres, in one silo.

    Asked with the facts ``columns`` and ``minimum`` and the array ``centre``. A column of which the
    silo has fewer rows than the minimum is left out: zeros, and 1 in ``suppressed``.
    """

    kind: ClassVar[str] = "moments"
    summable: ClassVar[bool] = True

    def declare(self, request: Message, schema: FederatedSchema) -> Declaration:
        """Return the shapes of the sums."""
        d = (len(request.facts["columns"]),)
        counts = dict.fromkeys(("rows", "missing", "suppressed"), ("i8", d))
        return Declaration({**counts, "sum": ("f8", d), "squares": ("f8", d)})

    def answer(self, silo: Silo, request: Message) -> Answer:
        """Add up the silo's rows."""
        columns, names = AgreedColumns(silo.schema), list(request.facts["columns"])
        columns.check_numbers(*names)
        centre, d = request.arrays["centre"], len(names)
        counts = np.zeros((2, d), np.int64)
        sums = np.zeros((2, d))
        for block in silo.blocks():
            away = columns.numbers_of(block, names) - centre
            known = ~np.isnan(away)
            away = np.where(known, away, 0.0)
            counts += (known.sum(axis=0), (~known).sum(axis=0))
            sums += (away.sum(axis=0), (away * away).sum(axis=0))
        hidden = small_cells(counts[0], least_count(silo, request.facts))
        kept = 1 - hidden
        return Answer(
            arrays={
                "rows": counts[0] * kept,
                "missing": counts[1] * kept,
                "sum": sums[0] * kept,
                "squares": sums[1] * kept,
                "suppressed": hidden,
            }
        )


def federated_moments(
    federation: Federation,
    *,
    columns: Sequence[str] | None = None,
    minimumCount: int = 1,
    minimumSilos: int | None = None,
    secure: Any = None,
) -> pd.DataFrame:
    """Return counts, means and variances of columns, equal to those of the pooled rows.

    Two rounds: the second one takes squares around the pooled mean, so that no digits are lost.
    Minima and maxima, which are the values of single rows, are not among them.

    Parameters
    ----------
    federation : Federation
    columns : sequence of str, optional
        Columns of numbers; by default all features that are.
    minimumCount : int, default=1
        A silo leaves a column out of which it has fewer rows than this, or than its own policy
        asks for.
    minimumSilos : int, optional
        Fewest silos that must answer; all of them by default.
    secure : SecureSum, optional
        The coordinator sees sums over silos only. Its ``range`` must hold the sums and sums of
        squares of each silo's values; with ``bits=64`` a range that is far too large costs nothing.

    Returns
    -------
    pandas.DataFrame
        By column: ``count`` (rows with a value), ``missing``, ``mean``, ``variance`` (unbiased),
        ``deviation`` and ``suppressed_silos`` (how many left it out). ``attrs`` holds ``silos``,
        ``rounds`` and ``failed``.

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
    >>> federated_moments(federation)["mean"].to_dict()
    {'age': 52.0}
    """
    import pandas as pd

    agreed = AgreedColumns(federation.schema)
    names = agreed.numbers if columns is None else list(columns)
    agreed.check_numbers(*names)
    facts = {"columns": names, "minimum": check_minimum(minimumCount)}

    def compute(pool: Pool) -> pd.DataFrame:
        first = pool.sum("moments", facts, {"centre": np.zeros(len(names))})
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = first["sum"] / first["rows"]
        second = pool.sum("moments", facts, {"centre": np.nan_to_num(mean)})
        n = second["rows"]
        with np.errstate(invalid="ignore", divide="ignore"):
            rest = second["sum"] / n  # the rounding of the mean
            variance = (second["squares"] - n * rest * rest) / (n - 1)
        table = {
            "count": n,
            "missing": second["missing"],
            "mean": mean + rest,
            "variance": np.where(n > 1, variance, np.nan),
            "deviation": np.sqrt(np.where(n > 1, variance, np.nan)),
            "suppressed_silos": second["suppressed"],
        }
        found = pd.DataFrame(table, index=pd.Index(names, name="column"))
        found.attrs.update(pool.facts())
        return found

    return over_same_silos(federation, compute, minimumSilos=minimumSilos, secure=secure)
