"""The ledger as a page: what left which silo, how much, and what was refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sparkml_dist.html.page import Page
from sparkml_dist.report.html import finished_page, render

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ledger_fragment", "ledger_page"]

_MOST_SHOWN = 500


def ledger_page(audit: pd.DataFrame, path: str | None = None) -> Page:
    """Return the ledger as an HTML page without scripts or links; everything is escaped.

    Parameters
    ----------
    audit : pandas.DataFrame
        Of `Federation.audit`.
    path : str, optional
        Where to write it.
    """
    return finished_page(_rendered("ledger_page.html", audit), path)


def ledger_fragment(audit: pd.DataFrame) -> str:
    """Return the ledger as a part of another page; everything is escaped."""
    return _rendered("ledger.html", audit)


def _rendered(template: str, audit: pd.DataFrame) -> str:
    return render(
        template,
        "sparkml_dist.federated",
        silos=_totals(audit, "silo"),
        kinds=_totals(audit, "kind"),
        entries=audit.head(_MOST_SHOWN).to_dict("records"),
        left_out=max(0, len(audit) - _MOST_SHOWN),
    )


def _totals(audit: pd.DataFrame, by: str) -> list[dict[str, Any]]:
    """Return messages, bytes in both directions, ε and refusals for each silo or kind."""
    found = []
    for name, part in audit.groupby(by, sort=True):
        answers = part[part["direction"] == "answer"]
        epsilon = part["epsilon"].dropna()
        found.append(
            {
                "name": str(name),
                "answers": int((answers["bytes"] > 0).sum()),
                "sent": int(answers["bytes"].sum()),
                "got": int(part.loc[part["direction"] == "request", "bytes"].sum()),
                "largest": int(answers["bytes"].max()) if len(answers) else 0,
                "epsilon": f"{epsilon.max():.4g}" if len(epsilon) else "",
                "refused": int((part["refused"] != "").sum()),
            }
        )
    return found
