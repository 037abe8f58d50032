"""What a search has committed: the order of its decisions, and the results of its trials."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.search.sequencer import Job
from sparkml_dist.search.trial_task import TRIALS

__all__ = ["TrialStore"]

JOURNAL = "journal"


@dataclass
class TrialStore:
    """Files of a search in its folder.

    Results are committed by the tasks that have them (``trials/``). The driver writes in which
    order it decided and applied them (``journal/``), before a decision is carried out: a search
    that was killed makes the same decisions again, and finds the results of those it had carried
    out.

    Attributes
    ----------
    folder : Folder
    """

    folder: Folder

    def __post_init__(self) -> None:
        self._journal = self.folder.child(JOURNAL)
        self._segments = len(self._segment_names())
        self._written = 0
        self._known: set[int] = set()

    def write_events(self, events: list[list[Any]], jobs: list[Job]) -> None:
        """Write the events since the last call, and the points of the trials that `jobs` start."""
        fresh = events[self._written :]
        if not fresh:
            return
        points = {
            str(j.run.trial): j.setting.points for j in jobs if j.run.trial not in self._known
        }
        self._journal.write_json(f"{self._segments:08d}.json", {"events": fresh, "points": points})
        self._segments += 1
        self._written = len(events)
        self._known.update(int(t) for t in points)

    def read_events(self) -> tuple[list[list[Any]], dict[int, dict[str, Any]]]:
        """Return the events of an earlier run, and the points of its trials."""
        events: list[list[Any]] = []
        points: dict[int, dict[str, Any]] = {}
        for name in self._segment_names():
            segment = self._journal.read_json(name)
            events += segment["events"]
            points |= {int(t): p for t, p in segment["points"].items()}
        self._written = len(events)
        self._known.update(points)
        return events, points

    def _segment_names(self) -> list[str]:
        """Return the names of the segments, in order; a store's listing may lack some of them."""
        listed = set(self._journal.names(".json"))
        names: list[str] = []
        while (following := f"{len(names):08d}.json") in listed or self._journal.exists(following):
            names.append(following)
        return names

    def results(self, rungs: Iterable[tuple[int, int]]) -> dict[tuple[int, int], dict[str, Any]]:
        """Return the committed results of whole rungs, by trial and rung.

        Parameters
        ----------
        rungs : iterable of (int, int)
            Trials and rungs that were begun; a store's listing may lack their results.
        """
        home = self.folder.child(TRIALS)
        listed = set(home.names(".json"))
        names = {(trial, rung): _name(trial, rung) for trial, rung in rungs}
        return {
            rung: home.read_json(name)
            for rung, name in names.items()
            if name in listed or home.exists(name)
        }

    def write_result(self, record: dict[str, Any]) -> None:
        """Commit the result of a trial that no task has committed."""
        name = _name(record["trial"], record["rung"])
        self.folder.child(TRIALS).write_json(name, record)


def _name(trial: int, rung: int) -> str:
    return f"trial-{trial:05d}-rung-{rung:02d}.json"
