"""Sites of silos in this process, from arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sparkml_dist.dataset import Block
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.federated.policy import SiloPolicy
from sparkml_dist.federated.silo import SiloSite, check_name
from sparkml_dist.federated.silo_data import BlockData, SiloData

__all__ = ["local_sites"]


def local_sites(
    silos: Mapping[str, Any],
    *,
    regression: bool,
    names: Sequence[str] | None,
    label: str,
    classes: Sequence[Any] | None,
    categories: Mapping[str, Sequence[str]] | None,
    policy: SiloPolicy | Mapping[str, SiloPolicy] | None,
    seed: int | None,
    folder: str | None,
) -> dict[str, SiloSite]:
    """Return a site for each silo; parameters as for `Federation.in_memory`."""

    def data_of(rows: Any) -> SiloData:
        if isinstance(rows, SiloData):
            return rows
        if isinstance(rows, Block):
            if classes is None and not regression:
                raise ConfigurationError(
                    "invalid_param",
                    "A Block holds positions of classes, and classes is not given.",
                    "Give the class list (classes=[…]), or regression=True.",
                )
            parts: tuple[Any, ...] = (rows.X, rows.y, rows.weight)
            coded = classes
        else:
            parts, coded = tuple(rows), None
        return BlockData(
            *parts,
            regression=regression,
            names=names,
            label=label,
            classes=coded,
            categories=categories,
        )

    sites = {}
    for place, (name, rows) in enumerate(sorted(silos.items())):
        own = policy.get(name) if isinstance(policy, Mapping) else policy
        sites[check_name(name)] = SiloSite(
            name,
            data_of(rows),
            None if folder is None else f"{folder}/silos/{place:06d}",
            # Both sides are one process: its owner may read every message of an error.
            own or SiloPolicy(tell_errors=True),
            seed,
        )
    return sites
