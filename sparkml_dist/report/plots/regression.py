"""Plots predicted against true values, counted on executors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sparkml_dist.dataset.many_columns import named_column
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.report.plots.figure import GREY, drawing, finish_axes, legible, whole_numbers

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

__all__ = ["plot_regression"]

_CELLS = 60


def plot_regression(
    predictions: DataFrame,
    label_col: str,
    folder: Folder,
    name: str = "predicted_against_true.png",
    *,
    prediction_col: str = "prediction",
) -> str:
    """Write a two-dimensional histogram of predicted against true values as a PNG.

    Spark counts the rows in the cells of a grid; only counts reach the driver.

    Parameters
    ----------
    predictions : pyspark.sql.DataFrame
        Output of a regressor's ``transform``, including the targets.
    label_col : str
    folder : Folder
        Where to write.
    name : str, default="predicted_against_true.png"
    prediction_col : str, default="prediction"

    Returns
    -------
    str
        Location of the file.
    """
    from matplotlib.colors import LogNorm
    from pyspark.sql import functions as F

    y = named_column(label_col).cast("double")
    p = named_column(prediction_col).cast("double")
    ends = predictions.select(
        F.least(F.min(y), F.min(p)).alias("low"), F.greatest(F.max(y), F.max(p)).alias("high")
    ).first()
    assert ends is not None
    low, high = float(ends["low"]), float(ends["high"])
    if low == high:
        low, high = low - 0.5, high + 0.5
    width = (high - low) / _CELLS

    def cell(value: Column) -> Column:
        return F.least(F.floor((value - low) / width), F.lit(_CELLS - 1)).cast("int")

    counted = (
        predictions.select(cell(y).alias("y"), cell(p).alias("p"))
        .groupBy("y", "p")
        .count()
        .toArrow()
    )
    grid = np.zeros((_CELLS, _CELLS))
    grid[counted["p"].to_numpy(), counted["y"].to_numpy()] = counted["count"].to_numpy()
    with drawing(6.2, 5.2, folder, name) as (figure, axes):
        shown = np.ma.masked_equal(grid, 0)
        image = axes.imshow(
            shown,
            origin="lower",
            extent=(low, high, low, high),
            cmap="Blues",
            norm=LogNorm(vmin=1, vmax=max(2.0, grid.max())),
            interpolation="nearest",
        )
        axes.plot([low, high], [low, high], color=GREY, linewidth=1, linestyle=(0, (4, 3)))
        bar = figure.colorbar(image, ax=axes, label="held-out rows", shrink=0.85)
        whole_numbers(bar.ax.yaxis)
        finish_axes(
            axes,
            title="Predicted against true",
            x=f"true {legible(label_col, 40)}",
            y="predicted",
            grid="",
        )
    return folder.uri(name)
