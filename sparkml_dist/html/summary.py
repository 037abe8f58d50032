"""What objects show of themselves in notebooks: a small table, without scripts or links."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sparkml_dist.html.render import render

__all__ = ["Row", "ShowsItself", "listed", "numbers", "summary_html"]


@dataclass(frozen=True)
class Row:
    """A row of the table; only parts that are not empty are shown.

    Attributes
    ----------
    name : str
    text : str
    quiet : str
        Shown in grey after the text.
    code : sequence of str
        Names shown as code before the text.
    values : sequence of float
        Drawn as a sparkline before the text.
    marked : int
        Index of the value that gets the dot.
    axes : str
        Description of the sparkline.
    shares : sequence of (str, float)
        Names with bars below the text, the largest first.
    """

    name: str
    text: str = ""
    quiet: str = ""
    code: Sequence[str] = ()
    values: Sequence[float] = ()
    marked: int = 0
    axes: str = ""
    shares: Sequence[tuple[str, float]] = ()


class ShowsItself:
    """Mixin of the objects that notebooks show as a table."""

    @abstractmethod
    def _shown(self) -> Iterable[Row]:
        """Return the rows of the table; no Spark job is run."""
        raise NotImplementedError

    def _shown_more(self) -> Iterable[Row]:
        """Return rows that are folded below the table."""
        return ()

    def _repr_html_(self) -> str:
        """Return the HTML that notebooks show instead of `repr`."""
        return summary_html(type(self).__name__, self._shown(), self._shown_more())


def summary_html(name: str, rows: Iterable[Row], more: Iterable[Row] = ()) -> str:
    """Return a table of facts as an HTML fragment: a ``div`` with inline style.

    Everything is escaped.

    Parameters
    ----------
    name : str
        Of the object.
    rows : iterable of Row
    more : iterable of Row
        Folded below the others.
    """
    shown, folded = (
        [row for row in some if row.text or row.code or row.shares or row.quiet]
        for some in (rows, more)
    )
    return render("summary.html", name=name, rows=shown, more=folded)


def listed(name: str, names: Sequence[str], most: int = 12) -> Row:
    """Return a row with the first of some names."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return Row(name, more, code=list(names[:most]))


def numbers(found: Mapping[str, Any], form: str) -> str:
    """Return the numbers of a mapping with their names, in one line."""
    shown = [(k, v) for k, v in found.items() if isinstance(v, int | float)]
    return ", ".join(f"{str(k).replace('_', ' ')} {v:{form}}" for k, v in shown)
