"""The families by name: which can be used, and which are left out and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec

from sparkml_dist.automl.families import boosting, forests
from sparkml_dist.automl.families.family import Family, Situation
from sparkml_dist.automl.families.kernel import kernel
from sparkml_dist.automl.families.linear import linear
from sparkml_dist.automl.families.neighbors import neighbors
from sparkml_dist.automl.families.perceptron import perceptron
from sparkml_dist.errors import ConfigurationError, nearest

__all__ = ["FAMILIES", "check_families", "families_for"]

#: In the order in which they begin: what is quick first, so that there is a model in any case.
FAMILIES: dict[str, Callable[[Situation], Family]] = {
    "extra_trees": forests.extra_trees,
    "linear": linear,
    "lightgbm": boosting.lightgbm,
    "neighbors": neighbors,
    "perceptron": perceptron,
    "kernel": kernel,
    "hist_gradient_boosting": boosting.hist_gradient_boosting,
    "xgboost": boosting.xgboost,
    "random_forest": forests.random_forest,
    "catboost": boosting.catboost,
}
_PACKAGES = ("lightgbm", "xgboost", "catboost")
#: Rows that a family takes, where its time or memory grows faster than the rows.
_MOST_ROWS = {"neighbors": 100_000, "kernel": 200_000}
_MOST_FEATURES = {"neighbors": 2_000, "kernel": 5_000}
#: Cells of rows × features, above which searching neighbours of every row takes minutes.
_MOST_CELLS = 40_000_000


def check_families(names: Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of families to use, all by default.

    Raises
    ------
    ConfigurationError
        ``invalid_param`` if there is none, or no family of a name; ``unknown_estimator`` if the
        package of one is not installed.
    """
    if names is None:
        return tuple(FAMILIES)
    if not names:
        raise ConfigurationError(
            "invalid_param",
            "families is an empty list.",
            f"Name one or more of {', '.join(FAMILIES)}, or leave it out to try all.",
        )
    for name in names:
        if name not in FAMILIES:
            raise ConfigurationError(
                "invalid_param",
                f"families names {name!r}, which there is not.{nearest(name, FAMILIES)}",
                f"Families are: {', '.join(FAMILIES)}.",
            )
        if name in _PACKAGES and find_spec(name) is None:
            raise ConfigurationError(
                "unknown_estimator",
                f"The family {name!r} needs the package {name!r}, which is not installed.",
                "Run: pip install 'sparkml_dist[boost]'.",
            )
    return tuple(dict.fromkeys(names))


def families_for(
    situation: Situation, names: Sequence[str] | None
) -> tuple[list[Family], dict[str, str]]:
    """Return the families to try, and why others are left out.

    Parameters
    ----------
    situation : Situation
    names : sequence of str, optional
        Families that the user names; these are never left out. All by default.
    """
    left: dict[str, str] = {}
    chosen = []
    for name in check_families(names):
        reason = "" if names is not None else _unfit(name, situation)
        if reason:
            left[name] = reason
        else:
            chosen.append(FAMILIES[name](situation))
    for name in FAMILIES:
        if names is not None and name not in names:
            left[name] = "is not among families"
    return chosen, left


def _unfit(name: str, situation: Situation) -> str:
    """Return why a family is not worth its time; "" if it is."""
    if name in _PACKAGES and find_spec(name) is None:
        return f"needs the package {name!r}: pip install 'sparkml_dist[boost]'"
    rows, features = situation.rows, situation.features
    if rows > _MOST_ROWS.get(name, rows):
        return f"takes too long for {rows:,} rows in a shard"
    if features > _MOST_FEATURES.get(name, features):
        return f"takes too long for {features:,} features"
    if name == "neighbors" and rows * features > _MOST_CELLS:
        return f"takes too long for {rows:,} rows of {features:,} features"
    if name == "kernel" and situation.schema.layout == "sparse":
        return "does not take sparse rows"
    return ""
