"""The report of a model: an HTML page for readers, and a model card in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sparkml_dist.report.html import finished_page, render, write_page
from sparkml_dist.report.markdown import render_markdown
from sparkml_dist.report.pictures import Picture

__all__ = ["Candidate", "FeatureFacts", "ModelReport"]

#: Lines of a table before the rest is folded.
_OPEN_ROWS = 20


@dataclass(frozen=True)
class Candidate:
    """A line of the leaderboard.

    Attributes
    ----------
    name : str
    score : float or None
        By the metric of the report.
    metrics : mapping of str to float
        Further scores.
    seconds : float or None
    settings : mapping of str to object
    note : str
        For instance how much of the data it has seen.
    chosen : bool
        Whether it is part of the model.
    """

    name: str
    score: float | None
    metrics: Mapping[str, float] = field(default_factory=dict)
    seconds: float | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    chosen: bool = False


@dataclass(frozen=True)
class FeatureFacts:
    """A column of the data in a report.

    Attributes
    ----------
    name, type : str
    use : str
        What became of it, such as ``"numeric"`` or ``"left out: is constant"``.
    missing : float
        Share of missing values.
    importance : float or None
    alerts : sequence of str
    """

    name: str
    type: str
    use: str
    missing: float = 0.0
    importance: float | None = None
    alerts: Sequence[str] = ()


@dataclass(frozen=True)
class ModelReport:
    """Everything that is known of a model, as plain values; parts that are empty are not shown.

    Attributes
    ----------
    title : str
    summary : str
        A sentence or two.
    facts : mapping of str to object
        The task in short: label, rows, metric and the like.
    metric : str
        Name of the leaderboard's score.
    metrics : mapping of str to float
        Of the model, on rows that it has not seen.
    evaluated_on : str
        What these rows are.
    leaderboard : sequence of Candidate
        The best first.
    left : sequence of (str, str)
        What was tried or considered and is not in the model: name, and reason.
    features : sequence of FeatureFacts
    classes : mapping of str to float
        Rows of each class.
    alerts : sequence of (str, str)
        Where something deserves attention, usually a column; and what.
    limitations : sequence of str
        What the model should not be trusted with, as far as the data show it.
    pictures : sequence of Picture
    settings, versions : mapping of str to object

    Examples
    --------
    >>> from sparkml_dist.report.model_report import Candidate, ModelReport
    >>> report = ModelReport("Flowers", leaderboard=[Candidate("bags", 0.95)], metric="accuracy")
    >>> "bags" in report.to_html() and "## Intended use" in report.to_markdown()
    True
    """

    title: str
    summary: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    metric: str = "score"
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    evaluated_on: str = ""
    leaderboard: Sequence[Candidate] = ()
    left: Sequence[tuple[str, str]] = ()
    features: Sequence[FeatureFacts] = ()
    classes: Mapping[str, float] = field(default_factory=dict)
    alerts: Sequence[tuple[str, str]] = ()
    limitations: Sequence[str] = ()
    pictures: Sequence[Picture] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    def to_html(self, path: str | None = None) -> str:
        """Return a self-contained page, without scripts or links; write it to `path` if given.

        Parameters
        ----------
        path : str, optional
            A local path, or a URI that pyarrow opens.

        Raises
        ------
        StorageError
            If the page cannot be written.
        """
        return finished_page(render("model_report.html", **self.values()), path)

    def to_markdown(self, path: str | None = None) -> str:
        """Return a model card in Markdown; write it to `path` if given.

        What the data do not tell (intended use, ethical considerations) is left for the owner of
        the model to fill in.

        Parameters
        ----------
        path : str, optional
            As for `to_html`.

        Raises
        ------
        StorageError
            If the card cannot be written.

        References
        ----------
        Mitchell et al. (2019), "Model cards for model reporting".
        """
        card = render_markdown("model_card.md", **self.values())
        if path is not None:
            write_page(path, card)
        return card

    def values(self) -> dict[str, Any]:
        """Return the values of the templates."""
        further = list(dict.fromkeys(n for c in self.leaderboard for n in c.metrics))
        scores = [c.score for c in self.leaderboard if c.score is not None]
        return {
            **{name: getattr(self, name) for name in self.__dataclass_fields__},
            "further": further[:4],
            "timed": any(c.seconds is not None for c in self.leaderboard),
            "open_rows": _OPEN_ROWS,
            "largest_class": max(self.classes.values(), default=0),
            "all_classes": sum(self.classes.values()),
            "most_important": max(
                (f.importance for f in self.features if f.importance is not None), default=0
            ),
            "ranked": bool(scores),
        }
