"""Learns a network from coded rows: structure, parameters, missing values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sparkml_dist.errors import DataError
from sparkml_dist.graphical.arc_strengths import arc_strengths
from sparkml_dist.graphical.counting.chosen_rows import CompleteRows
from sparkml_dist.graphical.counting.coded_rows import CodedRows
from sparkml_dist.graphical.counting.family_counts import FamilyCounts
from sparkml_dist.graphical.expectation_maximization import expectation_maximization
from sparkml_dist.graphical.network import Network
from sparkml_dist.graphical.parameters import Prior, fitted_network
from sparkml_dist.graphical.scores import Score
from sparkml_dist.graphical.structure_learning import StructurePlan, learn_structure

__all__ = ["MISSING", "FitPlan", "LearnedNetwork", "learn_network"]

#: What may be done about missing values.
MISSING = ("error", "skip", "em")


@dataclass(frozen=True)
class FitPlan:
    """How a network is learned.

    Attributes
    ----------
    structure : StructurePlan
    prior : Prior
    missing : {"error", "skip", "em"}
    max_iter : int
        Most steps of EM.
    tol : float
        Of EM.
    bootstraps : int
        Number of bootstrap replicates for the strengths of arcs.
    plain_target : bool
        Whether the class has no prior.
    """

    structure: StructurePlan
    prior: Prior
    missing: str = "error"
    max_iter: int = 100
    tol: float = 1e-6
    bootstraps: int = 0
    plain_target: bool = False


@dataclass(frozen=True)
class LearnedNetwork:
    """A network and facts about its fit.

    Attributes
    ----------
    network : Network
    facts : dict
        JSON values.
    """

    network: Network
    facts: dict[str, Any]

    def with_facts(self, **more: Any) -> LearnedNetwork:
        """Return the network with more facts."""
        return LearnedNetwork(self.network, {**self.facts, **more})


def learn_network(rows: CodedRows, plan: FitPlan) -> LearnedNetwork:
    """Learn a network.

    Parameters
    ----------
    rows : CodedRows
    plan : FitPlan

    Raises
    ------
    DataError
        ``empty_data``, ``too_many_cells``, ``missing_values``.
    ConfigurationError
        Those of `StructurePlan.check`.
    """
    plan.structure.check(rows.variables.names)
    source: CodedRows = CompleteRows(rows) if plan.missing in ("skip", "em") else rows
    counts = FamilyCounts(source)
    try:
        learned = learn_structure(counts, plan.structure)
    except DataError as error:
        if error.code == "empty_data" and plan.missing != "error":
            raise DataError(
                "missing_values",
                "No row is complete: each has a missing value, and the structure is learned from "
                "complete rows.",
                "Leave out the columns with the most missing values, or fill some in.",
            ) from error
        raise
    _check_missing(counts)
    target = plan.structure.target
    plain = [rows.variables.index(target)] if plan.plain_target and target is not None else []
    network = fitted_network(counts, learned.parents, plan.prior, plain)
    score = Score(plan.structure.score, counts.n_rows, plan.structure.sample_size)
    facts: dict[str, Any] = {
        "rows": counts.n_rows,
        "score": score.network(counts, learned.parents),
        "scores": {
            name: Score(name, counts.n_rows, plan.structure.sample_size).network(
                counts, learned.parents
            )
            for name in ("loglik", "bic", "aic", "bdeu", "k2")
        },
        "parameters": network.n_parameters,
        **learned.facts,
    }
    if plan.missing == "em":
        # A cell that no complete row has must not start from 0, where it would stay.
        start = fitted_network(counts, learned.parents, Prior("k2", 1.0))
        fit = expectation_maximization(
            rows, start, plan.prior, max_iter=plan.max_iter, tol=plan.tol
        )
        network = fit.network
        facts["em"] = {
            "log_likelihood": fit.log_likelihoods[-1],
            "steps": len(fit.log_likelihoods) - 1,
            "converged": fit.converged,
        }
    facts["passes"] = counts.passes
    if plan.bootstraps:
        facts["strengths"] = arc_strengths(source, plan.structure, plan.bootstraps)
    return LearnedNetwork(network, facts)


def _check_missing(counts: FamilyCounts) -> None:
    """Raise where values are missing."""
    if not counts.missing.any():
        return
    where = np.flatnonzero(counts.missing)
    shown = ", ".join(
        f"{counts.variables.names[v]} ({counts.missing[v]:,})" for v in where[:6].tolist()
    )
    raise DataError(
        "missing_values",
        f"{len(where)} column(s) have missing values: {shown}.",
        'Set handleInvalid to "em" (estimate parameters from all rows), "skip" (leave such rows '
        "out), or fill the values in.",
    )
