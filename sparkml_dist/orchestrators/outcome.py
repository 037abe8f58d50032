"""How a run of a job ended: its exit status, its metrics, and whether to try it again."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sparkml_dist.errors import ConfigurationError, DataError, TrainingError, UsageError

__all__ = ["Outcome", "printed_document"]

# What fails in the same way whenever it is tried.
_PERMANENT = frozenset(
    {UsageError.exit_status, ConfigurationError.exit_status, DataError.exit_status}
)
# Errors in a fit that another attempt may not meet: a process or a host was lost. The others
# follow from the learner, the rows and the seed.
_LOST = frozenset(
    {
        "gang_job_failed",
        "gang_line_forged",
        "gang_stalled",
        "rank_died",
        "rank_lost",
        "rank_not_started",
        "rank_silent",
    }
)
# Errors of files that stay. With --resume, which another attempt gets, an output that is there
# would be taken for the result.
_STAY = frozenset({"output_exists", "output_is_input"})
# Errors of the configuration that pass: a cluster may be back after a while.
_PASS = frozenset({"session_not_started"})


@dataclass(frozen=True)
class Outcome:
    """The end of a run.

    Parameters
    ----------
    status : int or None
        Exit status of the process, where it is known.
    document : dict, optional
        The metrics document of this very run.
    """

    status: int | None
    document: dict[str, Any] | None = None

    @property
    def error(self) -> dict[str, Any]:
        """The error in the metrics document: type, code, message, hint; empty without one."""
        found = (self.document or {}).get("error")
        return found if isinstance(found, dict) else {}

    @property
    def exit_status(self) -> int | None:
        """The job's own exit status; a cluster manager reports 1 for any failure."""
        return self.error.get("exit_status", self.status)

    @property
    def permanent(self) -> bool:
        """Whether another attempt would fail in the same way.

        Errors of usage, configuration and data are permanent, but for a Spark that does not start;
        those of resources, of files and unexpected ones are not, but for an output that is there.
        An error in a fit is permanent unless a process or a host was lost, or its code is not
        known.
        """
        code = self.error.get("code")
        if code in _STAY:
            return True
        if code in _PASS:
            return False
        if self.exit_status == TrainingError.exit_status:
            return code is not None and code not in _LOST
        return self.exit_status in _PERMANENT

    def message(self, job: str) -> str:
        """Return one line on the failure: the job, the exit status and the error."""
        error = self.error
        if self.exit_status is None:
            return f"{job} failed; see the log."
        if not error:
            return f"{job} ended with exit status {self.exit_status}; see the log."
        hint = f" Hint: {error['hint']}" if error.get("hint") else ""
        return (
            f"{job} ended with exit status {self.exit_status}: "
            f"[{error.get('code')}] {error.get('message')}{hint}"
        )


def printed_document(lines: Iterable[str]) -> dict[str, Any] | None:
    """Return the metrics document that a job printed as its last line.

    Parameters
    ----------
    lines : iterable of str
        The end of the log, which Spark's own lines may follow.

    Returns
    -------
    dict or None
        None where no line is one.
    """
    for line in reversed(list(lines)):
        if not line.startswith("{"):
            continue
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict) and {"job", "run_id", "status"} <= set(found):
            return found
    return None
