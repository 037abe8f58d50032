"""The allow-list of rules that a user may name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sparkml_dist.errors import ConfigurationError, nearest
from sparkml_dist.federated.strategies.aggregation.aggregation import Aggregation, Mean
from sparkml_dist.federated.strategies.aggregation.bulyan import Bulyan
from sparkml_dist.federated.strategies.aggregation.krum import Krum, MultiKrum
from sparkml_dist.federated.strategies.aggregation.median import CoordinateMedian
from sparkml_dist.federated.strategies.aggregation.norm_clipping import NormClipping
from sparkml_dist.federated.strategies.aggregation.trimmed_mean import TrimmedMean

__all__ = ["AGGREGATIONS", "aggregation_of"]

AGGREGATIONS: dict[str, type[Aggregation]] = {
    found.name: found
    for found in (Mean, CoordinateMedian, TrimmedMean, Krum, MultiKrum, Bulyan, NormClipping)
}


def aggregation_of(given: str | Aggregation | Mapping[str, Any]) -> Aggregation:
    """Return the rule of a name, of JSON values, or itself.

    Raises
    ------
    ConfigurationError
        ``invalid_param``.
    """
    if isinstance(given, Aggregation):
        given.check()
        return given
    value = {"name": given} if isinstance(given, str) else given
    name = value.get("name") if isinstance(value, Mapping) else None
    if not isinstance(name, str) or name not in AGGREGATIONS:
        raise ConfigurationError(
            "invalid_param",
            f"aggregation must be one of {', '.join(AGGREGATIONS)}, or an object such as "
            f"TrimmedMean(share=0.1). Got {given!r}.{nearest(str(name), AGGREGATIONS)}",
        )
    try:
        return AGGREGATIONS[name].from_dict(value)
    except TypeError as error:
        raise ConfigurationError(
            "invalid_param", f"aggregation cannot be {dict(value)!r}: {error}."
        ) from error
