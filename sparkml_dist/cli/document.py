"""The metrics document, which a job writes to a file and prints as its last line."""

from __future__ import annotations

import datetime
import json
import math
import re
import uuid
from dataclasses import dataclass, field
from typing import Any

from sparkml_dist.errors import SparkMLDistError

__all__ = ["MetricsDocument"]

#: The part of a URI with a user and, perhaps, a password.
_USER = re.compile(r"(?<=:)//[^/@\s]+@")


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


@dataclass
class MetricsDocument:
    """The content of ``metrics.json``; filled in while the job runs.

    Attributes
    ----------
    job : str
        Name of the job.
    run_id : str
        Unique id of the run.
    status : {"running", "ok", "failed"}
    rows, features, classes : int or None
        Number of training (or scored) rows, of features and of classes.
    parts : dict
        ``{"members": n}`` or ``{"ranks": n}``.
    seconds : dict of str to float
        Wall seconds of each stage, and ``total``.
    metrics : dict of str to float or None
        Scores, such as ``accuracy`` and ``log_loss``; empty when nothing was evaluated.
    peak_worker_rss_mb : float or None
        Largest resident memory of a worker of the job, in MiB.
    more : dict
        Further JSON values, such as ``test_rows`` and the locations of outputs.
    started : str
        When the run began: ISO 8601, UTC.
    arguments : list of str
        Of the command line; user names and passwords in locations are left out.
    warnings : list of str
        What was logged as a warning, up to 100 lines.
    error : dict or None
        Type, code, message and hint of the error that ended the job.
    """

    job: str
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    status: str = "running"
    rows: int | None = None
    features: int | None = None
    classes: int | None = None
    parts: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    metrics: dict[str, float | None] = field(default_factory=dict)
    peak_worker_rss_mb: float | None = None
    more: dict[str, Any] = field(default_factory=dict)
    started: str = field(default_factory=_now)
    arguments: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    error: dict[str, Any] | None = None
    #: The document of an earlier run, if that is complete and this one changes nothing.
    earlier: dict[str, Any] | None = None

    def fail(self, error: SparkMLDistError, trace: str | None = None) -> None:
        """Record the error that ended the job."""
        self.status = "failed"
        self.error = {**error.to_dict(), "exit_status": error.exit_status}
        if trace:
            self.error["traceback"] = trace.splitlines()

    def to_dict(self) -> dict[str, Any]:
        """Return the document as JSON values; numbers that are not finite are null."""
        from sparkml_dist.persistence.model_folder import versions

        if self.earlier is not None and self.error is None:
            return self.earlier
        value = {
            "job": self.job,
            "status": self.status,
            "run_id": self.run_id,
            "rows": self.rows,
            "features": self.features,
            "classes": self.classes,
            **self.parts,
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
            "metrics": self.metrics,
            "memory": {"peak_worker_rss_mb": self.peak_worker_rss_mb},
            **self.more,
            "versions": versions("tensorflow-cpu", "keras", "horovod"),
            "started": self.started,
            "arguments": [_USER.sub("//", text) for text in self.arguments],
            "warnings": list(self.warnings),
        }
        if self.error is not None:
            value["error"] = self.error
        finite: dict[str, Any] = _finite(value)
        return finite

    def line(self) -> str:
        """Return the document as one line of JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False)


def _finite(value: Any) -> Any:
    """Replace NaN and infinities, which JSON does not have, by null."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
