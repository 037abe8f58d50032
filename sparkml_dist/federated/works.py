"""The registry of works: the only ones that a silo does, whatever a message names."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from types import MappingProxyType

from sparkml_dist.errors import TrainingError, nearest
from sparkml_dist.federated.work import SiloWork

__all__ = ["WORKS", "work_of"]

#: Kind of a work to its module inside ``sparkml_dist.federated`` and its class there.
WORKS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        # core
        "schema": ("schema_works", "SchemaWork"),
        "agree": ("schema_works", "AgreeWork"),
        "rows": ("schema_works", "RowsWork"),
        # training
        # privacy
        "secure_keys": ("privacy.secure_works", "SecureKeysWork"),
        "secure_masked": ("privacy.secure_works", "SecureMaskedWork"),
        "secure_shares": ("privacy.secure_works", "SecureSharesWork"),
        "secure_unmask": ("privacy.secure_works", "SecureUnmaskWork"),
        # statistics
        "moments": ("statistics.moments", "MomentsWork"),
        "group_moments": ("statistics.group_moments", "GroupMomentsWork"),
        "table": ("statistics.tables", "TableWork"),
        "histogram": ("statistics.histogram", "HistogramWork"),
        "products": ("statistics.products", "ProductsWork"),
        "quantile_sketch": ("statistics.quantiles", "QuantileSketchWork"),
        "counts_below": ("statistics.quantiles", "CountsBelowWork"),
        "glm_pass": ("statistics.glm_work", "GlmPassWork"),
        "event_times": ("statistics.survival_works", "EventTimesWork"),
        "event_counts": ("statistics.survival_works", "EventCountsWork"),
        "risk_sums": ("statistics.cox_works", "RiskSumsWork"),
        "cox_silo": ("statistics.cox_works", "CoxSiloWork"),
        # ensembles
    }
)


@cache
def work_of(kind: str) -> SiloWork:
    """Return the work of a kind.

    Raises
    ------
    TrainingError
        ``unknown_work``.
    """
    if kind not in WORKS:
        raise TrainingError(
            "unknown_work",
            f"There is no work {kind[:60]!r} for silos.{nearest(kind[:60], WORKS)}",
            "The coordinator and the silos need the same version of sparkml_dist.",
        )
    module, name = WORKS[kind]
    work: SiloWork = getattr(import_module(f"sparkml_dist.federated.{module}"), name)()
    assert work.kind == kind
    return work
