"""Plots how much each parameter mattered in a search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.report.plots.figure import COLOURS, drawing, finish_axes, legible
from sparkml_dist.report.plots.search.records import (
    Trials,
    is_number,
    parameter_names,
    parameter_values,
    scores_of,
    with_scores,
)

__all__ = ["parameter_importance", "plot_parameter_importance"]

_LEAST_TRIALS = 4
_TREES = 64
_REPEATS = 8
_MOST_BARS = 20
_LONGEST_NAME = 32


def parameter_importance(trials: Trials, seed: int = 0) -> dict[str, float]:
    """Return the share of each parameter in what a forest explains of the scores.

    A random forest predicts the rank of a trial's score from its parameters; a parameter's
    importance is how much worse it predicts when the parameter's values are shuffled among trials.

    Parameters
    ----------
    trials : sequence of mapping
        With ``params`` and ``score``; those without a score are left out.
    seed : int, default=0

    Returns
    -------
    dict of str to float
        The most important first; shares add up to 1, or are all 0 if nothing is explained. Empty
        with fewer than 4 trials, or without a parameter that has two values.

    References
    ----------
    Breiman (2001), "Random forests". Hutter, Hoos, Leyton-Brown (2014), "An efficient approach for
    assessing hyperparameter importance", measure a forest's variance instead.
    """
    from sklearn.ensemble import RandomForestRegressor

    able = with_scores(trials)
    names = parameter_names(able) if len(able) >= _LEAST_TRIALS else []
    if not names:
        return {}
    columns = [_codes(parameter_values(able, name)) for name in names]
    rows = np.concatenate(columns, axis=1)
    widths = np.cumsum([0] + [c.shape[1] for c in columns])
    # Ranks: a few scores that are far off would count for all.
    ranks = np.argsort(np.argsort(scores_of(able), kind="stable"), kind="stable") / len(able)
    forest = RandomForestRegressor(_TREES, min_samples_leaf=2, random_state=seed).fit(rows, ranks)
    rng = np.random.default_rng(seed)
    before = float(((forest.predict(rows) - ranks) ** 2).mean())
    found = {}
    for i, name in enumerate(names):
        rises = []
        for _ in range(_REPEATS):
            shuffled = rows.copy()
            part = slice(widths[i], widths[i + 1])
            shuffled[:, part] = rows[rng.permutation(len(rows)), part]
            rises.append(((forest.predict(shuffled) - ranks) ** 2).mean() - before)
        found[name] = max(0.0, float(np.mean(rises)))
    total = sum(found.values()) or 1.0
    order = sorted(names, key=lambda n: (-found[n], names.index(n)))
    return {name: found[name] / total for name in order}


def _codes(values: list[Any]) -> npt.NDArray[np.float64]:
    """Return values as numbers: of one column, or one for each value that is no number."""
    kinds = sorted({repr(v) for v in values if not is_number(v)})
    numbers = [float(v) for v in values if is_number(v)]
    middle = float(np.median(numbers)) if numbers else 0.0
    columns = [[float(repr(v) == kind) for v in values] for kind in kinds]
    if numbers:
        columns.insert(0, [float(v) if is_number(v) else middle for v in values])
    return np.array(columns, np.float64).T


def plot_parameter_importance(
    importance: Mapping[str, float], folder: Folder, name: str = "parameter_importance.png"
) -> str:
    """Write how much each parameter mattered as a PNG, the most important on top.

    Parameters
    ----------
    importance : mapping of str to float
        Of `parameter_importance`; of more than 20 parameters the least important are left out.
    folder : Folder
        Where to write.
    name : str, default="parameter_importance.png"

    Returns
    -------
    str
        Location of the file.
    """
    shown = sorted(importance.items(), key=lambda item: -item[1])[:_MOST_BARS]
    left_out = len(importance) - len(shown)
    with drawing(7.2, 1.9 + 0.3 * max(4, len(shown)), folder, name) as (_, axes):
        places = np.arange(len(shown))
        shares = [share for _, share in shown]
        axes.barh(places, shares, height=0.65, color=COLOURS[0])
        for at, share in zip(places, shares, strict=True):
            axes.annotate(
                f"{share:.0%}",
                (share, at),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=9,
            )
        axes.set_yticks(places, [legible(label, _LONGEST_NAME) for label, _ in shown])
        axes.invert_yaxis()
        axes.set_xlim(0, max([*shares, 0.01]) * 1.12)
        axes.xaxis.set_major_formatter(lambda x, _: f"{x:.0%}")
        if not any(shares):
            axes.set_xticks([])
        heading = "Importance of parameters" if shown else "Too few trials to tell what mattered"
        if left_out:
            heading += f" (without the {left_out} least)"
        axis = "share of what a forest explains of the ranks of trials"
        finish_axes(axes, title=heading, x=axis, y="", grid="x")
    return folder.uri(name)
