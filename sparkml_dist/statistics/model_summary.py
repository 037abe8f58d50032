"""Makes the summary of a fitted linear model."""

from __future__ import annotations

from typing import Any

from sparkml_dist.statistics.summary import Summary

__all__ = ["NO_ERRORS", "long_form", "model_summary"]

NO_ERRORS = (
    "There are no standard errors: they need a fit without a penalty, by a solver that forms the "
    "information matrix."
)


def model_summary(model: Any, level: float) -> Summary:
    """Return the summary of a model.

    Parameters
    ----------
    model : LinearModel
    level : float
        Of confidence intervals.
    """
    facts = model.summary
    covered = model._has_covariance()
    inference = model._inference() if covered else None
    values = model._arrays["coefficients"].ravel()
    rows: list[tuple[str, list[str]]] = []
    header = ["coef"]
    if inference is not None:
        kind = "t" if inference.freedom is not None else "z"
        tail = (1 - level) / 2
        header += ["std err", kind, f"P>|{kind}|", f"[{tail:.3g}", f"{1 - tail:.3g}]"]
        parts = zip(
            model.terms,
            values,
            inference.errors,
            inference.statistics,
            inference.p_values,
            inference.intervals(level),
            strict=True,
        )
        for term, b, e, t, p, (low, high) in parts:
            numbers = [short(b), short(e), f"{t:.3f}", f"{p:.3f}", short(low), short(high)]
            rows.append((term, numbers))
    else:
        rows = [(t, [short(b)]) for t, b in zip(model.terms, values, strict=True)]
    notes = [f"Solver {facts['solver']}: {facts['stopped']}."]
    if not facts["converged"]:
        notes.append("The solver has not converged: raise maxIter.")
    if facts["dropped"]:
        notes.append(f"Left out as linear combinations: {', '.join(facts['dropped'])}.")
    if references := model._design().references:
        pairs = ", ".join(f"{name}={category}" for name, category in references.items())
        notes.append(f"Reference categories: {pairs}.")
    if not covered:
        notes.append(NO_ERRORS)
    return Summary(f"{model._title} results", model._facts(), header, rows, notes)


def short(value: float) -> str:
    """Return a number of the table of coefficients."""
    return f"{value:.4f}" if 1e-3 <= abs(value) < 1e6 or value == 0 else f"{value:.4g}"


def long_form(value: float) -> str:
    """Return a number of the table of facts."""
    return f"{value:,.5g}" if abs(value) < 1e5 else f"{value:.5e}"
