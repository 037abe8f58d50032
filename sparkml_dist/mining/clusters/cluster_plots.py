"""What models of clusters show of themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sparkml_dist.html.summary import Row
from sparkml_dist.report.plots.bars import plot_bars
from sparkml_dist.report.plots.figure import figure_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["cluster_rows", "plot_clusters", "plot_scores"]

_SHOWN = 10


def cluster_rows(sizes: Sequence[int], unit: str) -> Iterator[Row]:
    """Return the number of clusters and the largest of them, for a table.

    Parameters
    ----------
    sizes : sequence of int
        Descending.
    unit : str
        What they count.
    """
    shares = [(f"cluster {i}", int(n)) for i, n in enumerate(sizes[:_SHOWN])]
    more = f"and {len(sizes) - _SHOWN:,} smaller ones" if len(sizes) > _SHOWN else ""
    yield Row("clusters", f"{len(sizes):,}", f"(by {unit})")
    yield Row("", quiet=more, shares=shares)


def plot_clusters(sizes: Sequence[int], unit: str) -> Figure:
    """Draw the sizes of clusters."""
    values = {f"{i}": float(n) for i, n in enumerate(sizes)}
    return figure_of(
        lambda folder: plot_bars(
            values, folder, "clusters.png", title="Sizes of the clusters", x=unit, y="cluster"
        )
    )


def plot_scores(scores: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw the silhouette of each number of clusters that was tried; the best one is marked."""
    values = {f"{s['k']}": float(s["silhouette"]) for s in sorted(scores, key=lambda s: s["k"])}
    best = max(values, key=values.__getitem__)
    return figure_of(
        lambda folder: plot_bars(
            values,
            folder,
            "silhouettes.png",
            title="Silhouette by number of clusters",
            x="mean silhouette",
            y="clusters",
            marked=[best],
        )
    )
