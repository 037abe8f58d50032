"""One hill climbing by a peer on a table in memory; prints seconds and arcs as JSON."""

from __future__ import annotations

import json
import sys
import time
from importlib import metadata
from typing import Any

import pandas as pd


def pyagrum(frame: Any) -> tuple[float, list[list[str]]]:
    """Return the seconds and arcs of pyAgrum's greedy hill climbing by BIC."""
    import pyagrum as gum

    start = time.perf_counter()
    learner = gum.BNLearner(frame)
    learner.useScoreBIC()
    learner.useGreedyHillClimbing()
    graph = learner.learnDAG()  # without probabilities, which may need a prior
    spent = time.perf_counter() - start
    names = {v: learner.nameFromId(v) for v in graph.nodes()}
    return spent, [[names[a], names[b]] for a, b in graph.arcs()]


def pgmpy(frame: Any) -> tuple[float, list[list[str]]]:
    """Return the seconds and arcs of pgmpy's hill climbing by BIC."""
    from pgmpy.estimators import BIC, HillClimbSearch

    start = time.perf_counter()
    graph = HillClimbSearch(frame).estimate(scoring_method=BIC(frame), show_progress=False)
    return time.perf_counter() - start, [list(edge) for edge in graph.edges()]


if __name__ == "__main__":
    name, path = sys.argv[1:]
    table = pd.read_csv(path, dtype=str)
    seconds, arcs = {"pyagrum": pyagrum, "pgmpy": pgmpy}[name](table)
    print(
        json.dumps(
            {"seconds": seconds, "arcs": arcs, "version": f"{name} {metadata.version(name)}"}
        )
    )
