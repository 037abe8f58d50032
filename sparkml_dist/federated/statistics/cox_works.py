"""Sums over risk sets for Cox's model, over one silo's rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.federated.statistics.agreed_columns import AgreedColumns, block_of
from sparkml_dist.federated.statistics.cells import enough_rows, least_count, small_cells
from sparkml_dist.federated.statistics.partial_likelihood import (
    TIES,
    partial_likelihood,
    risk_sums,
)
from sparkml_dist.federated.statistics.survival_rows import SurvivalRows, survival_rows
from sparkml_dist.federated.statistics.symmetric import packed, packed_size
from sparkml_dist.federated.work import Answer, Declaration, SiloWork
from sparkml_dist.statistics.design import Design, missing_values

if TYPE_CHECKING:
    from sparkml_dist.federated.message import Message
    from sparkml_dist.federated.schema import FederatedSchema
    from sparkml_dist.federated.silo import Silo

__all__ = ["CoxSiloWork", "RiskSumsWork"]

Array = npt.NDArray[np.float64]


class RiskSumsWork(SiloWork):
    """Sums over the rows at risk at given times, in one silo; see `risk_sums`.

    Asked with the facts ``time``, ``event``, ``features`` (names), ``ties``, ``round_up``,
    ``handling`` and ``minimum`` and the arrays ``times``, ``beta`` and ``centre``. Differences of
    neighbouring sums are sums over the rows between two times: a silo whose policy has a
    ``least_count`` above their number refuses.
    """

    kind: ClassVar[str] = "risk_sums"
    summable: ClassVar[bool] = True

    def declare(self, request: Message, schema: FederatedSchema) -> Declaration:
        """Return the shapes of the sums."""
        p, t = len(request.arrays["beta"]), len(request.arrays["times"])
        arrays: dict[str, tuple[str, tuple[int, ...]]] = {
            "deaths": ("i8", (t,)),
            "deaths_x": ("f8", (p,)),
        }
        for name in ("risk", "tied") if _efron(request) else ("risk",):
            arrays[f"{name}0"] = ("f8", (t,))
            arrays[f"{name}1"] = ("f8", (t, p))
            arrays[f"{name}2"] = ("f8", (t, packed_size(p)))
        return Declaration(arrays)

    def answer(self, silo: Silo, request: Message) -> Answer:
        """Add up the silo's rows."""
        times = request.arrays["times"]
        grid = times if request.facts["round_up"] else None
        parts = _rows(silo, request, grid)
        sums = risk_sums(parts, times, request.arrays["beta"], efron=_efron(request))
        last, deaths, least = sums.pop("last"), sums["deaths"], silo.policy.least_count
        if small_cells(last[1:], least).any() or small_cells(deaths, least).any():
            raise DataError(
                "too_few_rows",
                f"Fewer than {least} rows of this silo lie between two of the times.",
                "Give a coarser grid of times, or stratify by silo.",
            )
        enough_rows(int(last.sum()), least_count(silo, request.facts))
        return Answer(arrays=sums)


class CoxSiloWork(SiloWork):
    """Partial likelihood, gradient and information of one silo as a stratum of its own.

    Asked with the facts and arrays of `RiskSumsWork`, without times.
    """

    kind: ClassVar[str] = "cox_silo"
    summable: ClassVar[bool] = True

    def declare(self, request: Message, schema: FederatedSchema) -> Declaration:
        """Return the shapes of the sums."""
        p = len(request.arrays["beta"])
        return Declaration(
            {
                "likelihood": ("f8", ()),
                "deaths": ("i8", ()),
                "score": ("f8", (p,)),
                "information": ("f8", (packed_size(p),)),
            }
        )

    def answer(self, silo: Silo, request: Message) -> Answer:
        """Read the silo's rows twice: for their times, and for the sums."""
        times, rows = np.zeros(0), 0
        for part, _ in _rows(silo, request, None):
            times = np.union1d(times, part.time[part.event])
            rows += len(part.time)
        enough_rows(rows, least_count(silo, request.facts))
        beta, efron = request.arrays["beta"], _efron(request)
        sums = risk_sums(_rows(silo, request, None), times, beta, efron=efron)
        value, score, information = partial_likelihood(sums, beta, efron=efron)
        return Answer(
            arrays={
                "likelihood": np.asarray(value),
                "deaths": np.asarray(sums["deaths"].sum(), np.int64),
                "score": score,
                "information": packed(information),
            }
        )


def _efron(request: Message) -> bool:
    ties = request.facts["ties"]
    if ties not in TIES:
        raise ConfigurationError(
            "invalid_param", f"ties must be one of {', '.join(TIES)}. Got {ties!r}."
        )
    return bool(ties == "efron")


def _rows(silo: Silo, request: Message, grid: Array | None) -> Iterator[tuple[SurvivalRows, Array]]:
    """Yield the complete rows of each block, and their columns less the centre."""
    facts: Any = request.facts
    features, places = AgreedColumns(silo.schema).chosen(facts["features"])
    design = replace(
        Design.of(features, intercept=False), centre=tuple(request.arrays["centre"].tolist())
    )
    for part in survival_rows(silo, facts, grid):
        X = block_of(part.block, places).X[part.known]
        X = np.asarray(X if isinstance(X, np.ndarray) else X.toarray(), np.float64)
        gone = np.isnan(X)
        whole = ~gone.any(axis=1)
        if not whole.all() and facts["handling"] != "skip":
            raise missing_values([design.names[int(np.flatnonzero(gone.any(axis=0))[0])]])
        columns, _ = replace(design, sparse=False).matrix(X[whole])
        yield part._replace(time=part.time[whole], event=part.event[whole]), columns
