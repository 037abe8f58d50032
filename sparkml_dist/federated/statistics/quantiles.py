"""Quantiles of a column over all silos, by sketches, or exactly by counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.federated.statistics.agreed_columns import AgreedColumns
from sparkml_dist.federated.statistics.cells import check_minimum, enough_rows, least_count
from sparkml_dist.federated.statistics.pool import Pool, over_same_silos
from sparkml_dist.federated.work import Answer, Declaration, SiloWork

if TYPE_CHECKING:
    import pandas as pd

    from sparkml_dist.federated.federation import Federation
    from sparkml_dist.federated.message import Message
    from sparkml_dist.federated.schema import FederatedSchema
    from sparkml_dist.federated.silo import Silo

__all__ = ["CountsBelowWork", "QuantileSketchWork", "federated_quantiles"]

Array = npt.NDArray[np.float64]

_LEAST_K, _MOST_K = 8, 65_535
# A sketch of any number of values keeps fewer than this many times k.
_LEVELS = 4
_POINTS = 63  # places at which a round of counts halves each interval, six times over
_SIGN = np.uint64(1 << 63)
_ROUNDS = 12


class QuantileSketchWork(SiloWork):
    """A sketch of the distribution of a column in one silo: some of its values, with weights.

    Asked with the facts ``column``, ``k`` and ``minimum``. The answer is not the bytes of a sketch,
    which the coordinator would have to trust to a decoder, but its values and the counts of rows up
    to each. A silo with fewer rows than the minimum refuses.
    """

    kind: ClassVar[str] = "quantile_sketch"

    def declare(self, request: Message, schema: FederatedSchema) -> Declaration:
        """Return the most values of a sketch."""
        most = (_LEVELS * checked_k(request.facts["k"]),)
        return Declaration({"values": ("f8", most), "below": ("i8", most)})

    def answer(self, silo: Silo, request: Message) -> Answer:
        """Read the silo's rows once."""
        from datasketches import kll_doubles_sketch

        columns, name = AgreedColumns(silo.schema), request.facts["column"]
        columns.check_numbers(name)
        sketch = kll_doubles_sketch(checked_k(request.facts["k"]))
        for block in silo.blocks():
            values = columns.numbers_of(block, [name])[:, 0]
            values = values[~np.isnan(values)]
            if len(values):
                sketch.update(np.require(values, np.float64, ["C", "W"]))
        n = int(sketch.n)
        enough_rows(n, least_count(silo, request.facts))
        if not n:
            return Answer(arrays={"values": np.zeros(0), "below": np.zeros(0, np.int64)})
        kept = np.unique([value for value, _ in sketch])
        below = np.rint(np.asarray(sketch.get_cdf(kept, True)[:-1]) * n).astype(np.int64)
        return Answer(arrays={"values": kept, "below": below})


class CountsBelowWork(SiloWork):
    """Counts of a column's values up to given points, in one silo.

    Asked with the facts ``column`` and ``minimum`` and the array ``points``, ascending. A silo with
    fewer rows than the minimum refuses.
    """

    kind: ClassVar[str] = "counts_below"
    summable: ClassVar[bool] = True

    def declare(self, request: Message, schema: FederatedSchema) -> Declaration:
        """Return the number of points."""
        return Declaration({"below": ("i8", (len(request.arrays["points"]),)), "rows": ("i8", ())})

    def answer(self, silo: Silo, request: Message) -> Answer:
        """Count the silo's rows."""
        columns, name = AgreedColumns(silo.schema), request.facts["column"]
        columns.check_numbers(name)
        points = request.arrays["points"]
        cells, rows = np.zeros(len(points) + 1, np.int64), 0
        for block in silo.blocks():
            values = columns.numbers_of(block, [name])[:, 0]
            values = values[~np.isnan(values)]
            rows += len(values)
            cells += np.bincount(np.searchsorted(points, values, "left"), minlength=len(cells))
        enough_rows(rows, least_count(silo, request.facts))
        return Answer(arrays={"below": np.cumsum(cells)[:-1], "rows": np.asarray(rows, np.int64)})


def checked_k(k: Any) -> int:
    """Return the size of a sketch; raise `ConfigurationError` unless it is one that works."""
    if isinstance(k, bool) or not isinstance(k, int) or not _LEAST_K <= k <= _MOST_K:
        raise ConfigurationError(
            "invalid_param", f"k must be from {_LEAST_K} to {_MOST_K}. Got {k!r}."
        )
    return k


def federated_quantiles(
    federation: Federation,
    *,
    column: str,
    probabilities: Sequence[float] = (0.25, 0.5, 0.75),
    method: str = "sketch",
    k: int = 200,
    minimumCount: int = 1,
    minimumSilos: int | None = None,
    secure: Any = None,
) -> pd.DataFrame:
    """Return quantiles of a column over the rows of all silos.

    The quantile of a probability p is the least value with at least ``p n`` of the n rows up to it
    (numpy's ``"inverted_cdf"``).

    Parameters
    ----------
    federation : Federation
    column : str
        Column of numbers.
    probabilities : sequence of float
        From 0 to 1.
    method : {"sketch", "counts"}, default="sketch"
        ``"sketch"``: one round, in which each silo sends some of its values (up to about three
        times `k`: all of them where it has no more rows than `k`) with their ranks, approximate
        beyond `k` rows. ``"counts"``: up to twelve rounds of counts that close in on each
        quantile, exact to the last bit; nothing but counts leaves a silo, and they add up.
    k : int, default=200
        Size of a sketch.
    minimumCount : int, default=1
        A silo with fewer rows than this, or than its own policy asks for, does not answer.
    minimumSilos : int, optional
        As for `federated_moments`.
    secure : SecureSum, optional
        For ``method="counts"``.

    Returns
    -------
    pandas.DataFrame
        By probability: ``value``, and with a sketch ``low`` and ``high``, between which the
        quantile is in 99 of 100 cases. ``attrs`` holds ``rank_error`` (share of the rows; 0 for
        counts and for sketches that hold all values), ``rows``, ``silos``, ``rounds`` and
        ``failed``.

    Raises
    ------
    DataError
        ``column_not_found``, ``column_type``, ``empty_data`` or ``silo_not_finite``.
    ConfigurationError
        ``invalid_param`` or ``conflicting_params``.

    References
    ----------
    Karnin, Lang, Liberty (2016), "Optimal quantile approximation in streams", arXiv 1603.05346.

    Examples
    --------
    >>> rows = {"north": ([[40.0], [61.0]], [0, 1]), "south": ([[55.0]], [1])}
    >>> federation = Federation.in_memory(rows, names=["age"], label="sick")
    >>> found = federated_quantiles(federation, column="age", method="counts")
    >>> found["value"].tolist()
    [40.0, 55.0, 61.0]
    """
    if method not in ("sketch", "counts"):
        raise ConfigurationError(
            "invalid_param", f"method must be 'sketch' or 'counts'. Got {method!r}."
        )
    p = np.asarray(list(probabilities), np.float64)
    if not len(p) or not ((p >= 0) & (p <= 1)).all():
        raise ConfigurationError(
            "invalid_param", f"probabilities must be from 0 to 1. Got {list(probabilities)}."
        )
    AgreedColumns(federation.schema).check_numbers(column)
    facts = {"column": column, "minimum": check_minimum(minimumCount)}
    if method == "sketch":
        facts["k"] = checked_k(k)

    def compute(pool: Pool) -> pd.DataFrame:
        found = _by_sketch(pool, facts, p) if method == "sketch" else _by_counts(pool, facts, p)
        found.attrs.update(pool.facts())
        return found

    return over_same_silos(federation, compute, minimumSilos=minimumSilos, secure=secure)


# -- by sketches ------------------------------------------------------------------------------


def _by_sketch(pool: Pool, facts: dict[str, Any], p: Array) -> pd.DataFrame:
    import pandas as pd
    from datasketches import kll_doubles_sketch

    values, weights, exact = [np.zeros(0)], [np.zeros(0, np.int64)], True
    for name, answer in pool.ask("quantile_sketch", facts):
        some, counts = _checked_sketch(name, answer.arrays)
        values.append(some)
        weights.append(counts)
        exact = exact and int(counts.sum()) <= facts["k"]
    every, weight = np.concatenate(values), np.concatenate(weights)
    n = int(weight.sum())
    _some_rows(n, facts["column"])
    order = np.argsort(every, kind="stable")
    every, below = every[order], np.cumsum(weight[order])
    error = 0.0 if exact else float(kll_doubles_sketch.get_normalized_rank_error(facts["k"], False))

    def at(share: Array) -> Array:
        target = np.maximum(np.ceil(np.clip(share, 0.0, 1.0) * n - 1e-9), 1)
        return np.asarray(every[np.searchsorted(below, target, "left")])

    table = {"value": at(p), "low": at(p - error), "high": at(p + error)}
    found = pd.DataFrame(table, index=pd.Index(p, name="probability"))
    found.attrs.update(rank_error=error, rows=n)
    return found


def _checked_sketch(silo: str, arrays: Any) -> tuple[Array, npt.NDArray[np.int64]]:
    """Return values and weights of a silo's sketch; raise unless they are one."""
    values, below = arrays["values"], arrays["below"]
    weights = np.diff(below, prepend=0)
    good = len(values) == len(below) and np.isfinite(values).all()
    if not (good and (np.diff(values) > 0).all() and (weights >= 0).all()):
        raise DataError(
            "silo_not_finite",
            f"The silo {silo!r} sent no sketch: values must be finite and ascend, as must counts.",
            "Ask without that silo.",
        )
    return values, weights


def _some_rows(n: int, column: str) -> None:
    if not n:
        raise DataError(
            "empty_data",
            f"No row of the silos has a value of {column!r}.",
            "Name another column.",
        )


# -- by counts --------------------------------------------------------------------------------


def _by_counts(pool: Pool, facts: dict[str, Any], p: Array) -> pd.DataFrame:
    """Close in on each quantile over the ordered numbers of the machine."""
    import pandas as pd

    # Invariant: fewer than the target up to `low`, and the target or more up to `high`.
    low = np.full(len(p), _ordinal(np.asarray([-np.inf]))[0])
    high = np.full(len(p), _ordinal(np.asarray([np.inf]))[0])
    n, target = 0, np.zeros(len(p))
    for _ in range(_ROUNDS):
        wanted = np.unique(np.concatenate([_between(a, b) for a, b in zip(low, high, strict=True)]))
        if not len(wanted):
            break
        found = pool.sum("counts_below", facts, {"points": _number(wanted)})
        n, below = int(found["rows"]), found["below"]
        _some_rows(n, facts["column"])
        target = np.maximum(np.ceil(p * n - 1e-9), 1)
        for i in range(len(p)):
            reached = int(np.searchsorted(below, target[i], "left"))
            if reached < len(wanted):
                high[i] = min(high[i], wanted[reached])
            if reached:
                low[i] = max(low[i], wanted[reached - 1])
    table = pd.DataFrame({"value": _number(high)}, index=pd.Index(p, name="probability"))
    table.attrs.update(rank_error=0.0, rows=n)
    return table


def _between(low: np.uint64, high: np.uint64) -> npt.NDArray[np.uint64]:
    """Return some numbers that are greater than one and less than the other."""
    gap = int(high) - int(low)
    steps = [int(low) + gap * i // (_POINTS + 1) for i in range(1, _POINTS + 1)]
    return np.unique(np.asarray([s for s in steps if int(low) < s < int(high)], np.uint64))


def _ordinal(values: Array) -> npt.NDArray[np.uint64]:
    """Return the place of each double in the order of all doubles."""
    bits = np.ascontiguousarray(values + 0.0).view(np.uint64)
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


def _number(ordinals: npt.NDArray[np.uint64]) -> Array:
    bits = np.where(ordinals & _SIGN, ordinals ^ _SIGN, ~ordinals)
    return np.asarray(bits.astype(np.uint64).view(np.float64))
