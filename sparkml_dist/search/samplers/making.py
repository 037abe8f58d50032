"""Samplers by name."""

from __future__ import annotations

from sparkml_dist.errors import ConfigurationError, nearest
from sparkml_dist.search.samplers.sampler import Sampler
from sparkml_dist.search.space import Space

__all__ = ["SAMPLERS", "make_sampler"]

SAMPLERS = ("tpe", "random", "cmaes", "grid", "gp")


def make_sampler(kind: str, space: Space, seed: int) -> Sampler:
    """Return a new sampler.

    Parameters
    ----------
    kind : {"tpe", "random", "cmaes", "grid", "gp"}
    space : Space
    seed : int

    Raises
    ------
    ConfigurationError
        ``invalid_param`` if there is none of that name, or a grid has no lists;
        ``search_missing`` if a package is not installed.
    """
    if kind == "tpe":
        from sparkml_dist.search.samplers.from_optuna import TpeSampler

        return TpeSampler(space, seed)
    if kind == "cmaes":
        from sparkml_dist.search.samplers.from_optuna import CmaEsSampler

        return CmaEsSampler(space, seed)
    if kind == "gp":
        from sparkml_dist.search.samplers.gaussian_process import GaussianProcessSampler

        return GaussianProcessSampler(space, seed)
    if kind == "random":
        from sparkml_dist.search.samplers.simple import RandomSampler

        return RandomSampler(space, seed)
    if kind == "grid":
        from sparkml_dist.search.samplers.simple import GridSampler

        return GridSampler(space, seed)
    raise ConfigurationError(
        "invalid_param",
        f"sampler must be one of {', '.join(SAMPLERS)}. Got {kind!r}.{nearest(kind, SAMPLERS)}",
    )
