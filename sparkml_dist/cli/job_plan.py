"""The plan of a job in ``job.json`` of its output folder; only an equal plan can be resumed."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.persistence.filesystem import Folder

__all__ = ["JOB", "differing", "read_job", "refuse_other_plan", "write_job"]

JOB = "job.json"

_PROTOCOL = 1
_FORMAT = "sparkml_dist.job"


def read_job(folder: Folder) -> dict[str, Any]:
    """Return the content of ``job.json``; empty where there is none of a job."""
    found = folder.read_object(JOB)
    known = found.get("format") == _FORMAT and isinstance(found.get("plan"), dict)
    return found if known else {}


def write_job(folder: Folder, plan: Any, outcome: dict[str, Any] | None = None) -> None:
    """Write the plan of a job, and its metrics once it is complete."""
    value = {"format": _FORMAT, "protocol": _PROTOCOL, "plan": plan, "outcome": outcome}
    folder.write_json(JOB, value)


def differing(folder: Folder, plan: dict[str, Any], ignoring: Collection[str] = ()) -> list[str]:
    """Return the differences between the plan of the job in a folder and another plan."""
    stored = read_job(folder)["plan"]
    now = json.loads(json.dumps(plan))
    return [
        f"{key}: {stored.get(key)!r} then, {now.get(key)!r} now"
        for key in sorted({*stored, *now} - {*ignoring})
        if stored.get(key) != now.get(key)
    ]


def refuse_other_plan(
    folder: Folder, plan: dict[str, Any], *, hint: str, ignoring: Collection[str] = ()
) -> None:
    """Raise where the plan of the job in a folder differs.

    Raises
    ------
    ConfigurationError
        ``plan_differs``.
    """
    if found := differing(folder, plan, ignoring):
        raise ConfigurationError(
            "plan_differs",
            f"The earlier run in {folder.location!r} differs in {'; '.join(found)}.",
            hint,
        )
