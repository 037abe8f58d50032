"""Sums over the rows of all silos, in the form that the solvers of linear models take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from sparkml_dist.cluster.sums.layout import Arrays, Summands
from sparkml_dist.dataset.schema import FeatureSchema
from sparkml_dist.federated.statistics.glm_passes import described, form_of
from sparkml_dist.federated.statistics.pool import Pool
from sparkml_dist.statistics.design import Design

__all__ = ["FederatedData", "FederatedSums"]


class FederatedData:
    """What the fit of a linear model asks of a data set before it sees sums.

    Parameters
    ----------
    schema : FeatureSchema
        Of the model's features.
    federated : FederatedSchema
    silos : int
    handling : {"error", "skip", "mean"}
        Of missing values, which only the silos see.
    """

    def __init__(self, schema: FeatureSchema, federated: Any, silos: int, handling: str) -> None:
        self.schema = schema
        self.layout = schema.layout
        self.shards = range(silos)
        lists = [c.categories for c in schema.columns for _ in range(c.size)]
        numbers = [i for i, categories in enumerate(lists) if not categories]
        self.manifest = SimpleNamespace(
            label=federated.label,
            key=("silo",),
            missing_features=numbers if handling == "mean" else [],
        )


class FederatedSums:
    """Sums over silos: each pass is one round, and a silo is what a shard is elsewhere.

    It is a `sparkml_dist.dataset.sums.Sums`, so that the solvers are the same; but a pass travels
    as its name, settings and arrays, and a silo runs it only if it knows the name.

    Parameters
    ----------
    pool : Pool
    data : FederatedData
    design : Design
        As it is before the first pass.
    minimum : int
        Fewest complete rows of a silo.

    Attributes
    ----------
    passes : int
        Rounds so far.
    """

    def __init__(self, pool: Pool, data: FederatedData, design: Design, minimum: int) -> None:
        self.data: Any = data
        self.passes = 0
        self._pool = pool
        self._design = design
        offset = design.offset
        self._common = {
            "features": list(design.names),
            "intercept": design.intercept,
            "offset": None if offset is None else design.names[offset],
            "handling": design.handling,
            "minimum": minimum,
        }

    def add(self, function: Callable[..., Summands], parameters: Sequence[Any] = ()) -> Arrays:
        """Return the sums of ``function(block, *parameters)`` over the rows of all silos."""
        facts, arrays = described(function, parameters)
        request = {**self._common, **facts}
        places: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
            name: ({"place": i}, {}) for i, name in enumerate(self._pool.silos)
        }
        found = self._pool.sum(
            "glm_pass", request, arrays, own=places, finite=facts["pass"] != "likelihood"
        )
        self.passes += 1
        design = getattr(getattr(function, "step", function), "design", self._design)
        form = form_of(request, arrays, design)
        return form.decode(found)

    def add_shards(
        self, function: Callable[..., Summands], parameters: Sequence[Any] = ()
    ) -> Arrays:
        """Return the sums of ``function(silo, blocks, *parameters)`` over all silos."""
        return self.add(function, parameters)
