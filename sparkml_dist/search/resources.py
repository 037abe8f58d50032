"""The resource of a search: what trials get more of from rung to rung."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.search.known_params import own_params

__all__ = ["Resource"]

# By default the lowest rung has this share of the resource, three rungs below the highest.
_LEAST_SHARE = 27


@dataclass(frozen=True)
class Resource:
    """What trials get more of.

    Attributes
    ----------
    kind : str
        ``"shards"``, ``"rows"``, or the name of a parameter.
    least, most : int
        Of the lowest and the highest rung.
    shards : tuple of int, or None
        Shards that every member learns from; None where member m learns from shard m.
    rows : int
        Rows of these shards.
    """

    kind: str
    least: int
    most: int
    shards: tuple[int, ...] | None
    rows: int

    @classmethod
    def of(
        cls,
        search: Any,
        data: PartitionedDataset,
        named: Mapping[str | None, Any],
    ) -> Resource:
        """Return the resource of a search on a data set.

        Raises
        ------
        ConfigurationError
            ``invalid_param``.
        """
        kind: str = search.getOrDefault(search.resource)
        least, most = search._value(search.minResource), search._value(search.maxResource)
        if kind == "shards":
            count = len(data.shards)
            if (most or 1) > count:
                raise ConfigurationError(
                    "invalid_param",
                    f"maxResource must be at most the {count} shards of the data. Got {most}.",
                    "Make more shards, or lower maxResource.",
                )
            most = most or count
            return cls(kind, min(least or 1, most) if least is None else least, most, None, 0)
        if kind == "rows":
            for estimator in named.values():
                if not hasattr(estimator, "get_params"):
                    raise ConfigurationError(
                        "invalid_param",
                        f"resource='rows' is for learners; {type(estimator).__name__} learns from "
                        "whole shards.",
                        "Use 'shards', or one of its Params.",
                    )
            shards, rows = [0], data.shards[0].rows
            while most is not None and rows < most and len(shards) < len(data.shards):
                rows += data.shards[len(shards)].rows
                shards.append(len(shards))
            most = min(most or rows, rows)
            return cls(kind, least or max(1, most // _LEAST_SHARE), most, tuple(shards), rows)
        if most is None:
            most = _own_value(kind, named)
        return cls(kind, least or max(1, most // _LEAST_SHARE), most, (0,), data.shards[0].rows)


def _own_value(name: str, named: Mapping[str | None, Any]) -> int:
    """Return the value that the first learner has for the parameter that is the resource."""
    value = own_params(next(iter(named.values()))).get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigurationError(
            "invalid_param",
            f"maxResource is not given, and the learner's own {name} is {value!r}.",
            f"Set maxResource to the largest {name} of a trial.",
        )
    return value
