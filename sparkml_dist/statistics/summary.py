"""The summary of a fitted model, as text and as an HTML table."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["FitFacts", "Summary"]

_WIDTH = 78


@dataclass(frozen=True)
class Summary:
    """Facts about a fit, and a table of its coefficients; prints like statsmodels' summaries.

    Attributes
    ----------
    title : str
    facts : sequence of (str, str)
        Names and values.
    header : sequence of str
        Of the table of coefficients.
    rows : sequence of (str, sequence of str)
        Names of coefficients, and their numbers.
    notes : sequence of str
    """

    title: str
    facts: Sequence[tuple[str, str]]
    header: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]
    notes: Sequence[str] = ()

    def __str__(self) -> str:
        names = max([len(name) for name, _ in self.rows] + [12])
        widths = [
            max([len(title), *(len(values[i]) for _, values in self.rows)]) + 2
            for i, title in enumerate(self.header)
        ]
        width = max(_WIDTH, names + sum(widths))
        lines = [self.title.center(width).rstrip(), "=" * width]
        half = (len(self.facts) + 1) // 2
        column = width // 2 - 1
        for i in range(half):
            left = _pair(self.facts[i], column)
            right = _pair(self.facts[half + i], column) if half + i < len(self.facts) else ""
            lines.append(f"{left}  {right}".rstrip())
        lines.append("=" * width)
        head = "".join(t.rjust(w) for t, w in zip(self.header, widths, strict=True))
        lines += [" " * names + head, "-" * width]
        for name, values in self.rows:
            cells = "".join(v.rjust(w) for v, w in zip(values, widths, strict=True))
            lines.append(name.ljust(names) + cells)
        lines.append("=" * width)
        lines += [f"[{i + 1}] {note}" for i, note in enumerate(self.notes)]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        """Return the tables as HTML, everything escaped."""

        def row(cells: Sequence[str], tag: str = "td") -> str:
            inside = "".join(f"<{tag}>{html.escape(c)}</{tag}>" for c in cells)
            return f"<tr>{inside}</tr>"

        facts = "".join(row(pair) for pair in self.facts)
        body = "".join(row([name, *values]) for name, values in self.rows)
        notes = "".join(f"<p>{html.escape(note)}</p>" for note in self.notes)
        return (
            f"<div><table><caption>{html.escape(self.title)}</caption>{facts}</table>"
            f"<table>{row(['', *self.header], 'th')}{body}</table>{notes}</div>"
        )


def _pair(pair: tuple[str, str], width: int) -> str:
    name, value = pair
    return f"{name}:{value.rjust(max(1, width - len(name) - 1))}"


class FitFacts(dict[str, Any]):
    """Facts about a fit, as of all models; called, the summary of the model.

    Parameters
    ----------
    model : fitted model
        With a method ``_summary``.
    facts : dict
    """

    def __init__(self, model: Any, facts: dict[str, Any]) -> None:
        super().__init__(facts)
        self._model = model

    def __call__(self, *, level: float | None = None) -> Summary:
        """Return the summary of the model, to print or to show in a notebook.

        Parameters
        ----------
        level : float, optional
            Of confidence intervals; `confidenceLevel` by default.
        """
        found: Summary = self._model._summary(level)
        return found

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)
