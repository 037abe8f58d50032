"""How often bootstrap samples of the rows lead to the same arcs."""

from __future__ import annotations

from collections import Counter
from typing import Any

from sparkml_dist.graphical.counting.chosen_rows import BootstrapRows
from sparkml_dist.graphical.counting.coded_rows import CodedRows
from sparkml_dist.graphical.counting.family_counts import FamilyCounts
from sparkml_dist.graphical.graph import arcs_of
from sparkml_dist.graphical.structure_learning import StructurePlan, learn_structure

__all__ = ["arc_strengths"]


def arc_strengths(rows: CodedRows, plan: StructurePlan, replicates: int) -> list[dict[str, Any]]:
    """Learn the structure from bootstrap samples, and count its arcs.

    Parameters
    ----------
    rows : CodedRows
    plan : StructurePlan
    replicates : int

    Returns
    -------
    list of dict
        For each pair of variables that some sample joins: ``from`` and ``to`` in the more frequent
        direction, ``strength``, the share of samples that join them, and ``direction``, the share
        of these with that direction. The strongest first.

    References
    ----------
    Friedman, Goldszmidt, Wyner (1999), "Data analysis with Bayesian networks: a bootstrap
    approach", UAI.
    """
    found: Counter[tuple[int, int]] = Counter()
    merged = rows.merged()  # so that it does not matter where copies of a row lie
    try:
        for replicate in range(replicates):
            counts = FamilyCounts(BootstrapRows(merged, plan.seed, replicate))
            found.update(arcs_of(learn_structure(counts, plan).parents))
    finally:
        merged.close()
    names = rows.variables.names
    strengths = []
    for a, b in sorted({(min(pair), max(pair)) for pair in found}):
        there, back = found[a, b], found[b, a]
        start, end = (a, b) if there >= back else (b, a)
        strengths.append(
            {
                "from": names[start],
                "to": names[end],
                "strength": (there + back) / replicates,
                "direction": max(there, back) / (there + back),
            }
        )
    return sorted(strengths, key=lambda s: (-s["strength"], s["from"], s["to"]))
