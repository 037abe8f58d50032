"""Plots coefficients with their confidence intervals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.report.plots.figure import COLOURS, GREY, drawing, finish_axes

__all__ = ["plot_coefficients"]

_MOST = 40
_LONGEST_NAME = 30


def plot_coefficients(
    coefficients: Mapping[str, float],
    intervals: Mapping[str, tuple[float, float]] | None,
    folder: Folder,
    name: str = "coefficients.png",
) -> str:
    """Write coefficients and their confidence intervals as a PNG, the first ones of many.

    Parameters
    ----------
    coefficients : mapping of str to float
        By term.
    intervals : mapping of str to (float, float), or None
        By term; None where there are none.
    folder : Folder
        Where to write.
    name : str, default="coefficients.png"

    Returns
    -------
    str
        Location of the file.
    """
    terms = [t for t in coefficients if "(intercept)" not in t][:_MOST] or list(coefficients)[:1]
    values = np.array([coefficients[t] for t in terms])
    places = np.arange(len(terms))[::-1]
    height = float(np.clip(1.6 + 0.26 * len(terms), 2.8, 12))
    with drawing(6.4, height, folder, name) as (_, axes):
        if intervals is not None:
            ends = np.array([intervals[t] for t in terms])
            axes.hlines(places, ends[:, 0], ends[:, 1], color=COLOURS[0], lw=2)
        axes.plot(values, places, "o", color=COLOURS[0], ms=4)
        axes.axvline(0.0, color=GREY, lw=1, linestyle=(0, (4, 3)))
        shown = [t if len(t) <= _LONGEST_NAME else t[: _LONGEST_NAME - 1] + "…" for t in terms]
        axes.set_yticks(places, shown)
        finish_axes(axes, title="Coefficients and intervals", x="coefficient", y="")
    return folder.uri(name)
